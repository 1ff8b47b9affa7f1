// A USSD service in Node, no packages: `node service.js 8080` (docs/http-campaigns.md).
const http = require("node:http");

// The next screen, whether the session goes on, and what to remember.
function answer(text, state) {
  if (state === null) return ["How do you get water?\n1. Tap\n2. River", true, "source"];
  if (state === "source" && ["1", "2"].includes(text)) return ["How many minutes do you walk?", true, ["tap", "river"][text - 1]];
  if (["tap", "river"].includes(state) && /^\d+$/.test(text)) return [`Thank you! ${text} minutes to the ${state}.`, false, null];
  return ["Please answer with a number.", true, state];
}

http.createServer(async (request, response) => {
  const chunks = await request.toArray();
  const call = JSON.parse(Buffer.concat(chunks));
  const [text, open, state] = answer(call.text, call.event === "new" ? null : call.state);
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify({ text, open, state }));
}).listen(Number(process.argv[2]), "127.0.0.1");
