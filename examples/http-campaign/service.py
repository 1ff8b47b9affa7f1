"""A USSD service in Python, standard library only: `python3 service.py 8080` (docs/http-campaigns.md)."""
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

def answer(text, state):
    """The next screen, whether the session goes on, and what to remember."""
    if state is None:
        return "How do you get water?\n1. Tap\n2. River", True, "source"
    if state == "source" and text in ("1", "2"):
        return "How many minutes do you walk?", True, ["tap", "river"][int(text) - 1]
    if state in ("tap", "river") and text.isdigit():
        return f"Thank you! {text} minutes to the {state}.", False, None
    return "Please answer with a number.", True, state

class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept

    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text, is_open, state = answer(call["text"], None if call["event"] == "new" else call["state"])
        body = json.dumps({"text": text, "open": is_open, "state": state}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass  # what people send stays out of logs

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Service).serve_forever()
