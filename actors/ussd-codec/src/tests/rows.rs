//! Every aggregator of the table: a first call and a later one as its documents have them, and the answers to both.

use serde_json::{Value, json};

use crate::{
    CallBytes, CallEvent, CallFormat, UssdAnswer, UssdCall,
    presets::{names, preset},
};

/// The name, the first call, the second, what they say, and the answers to an open screen and a last one.
struct PresetCase {
    name: &'static str,
    path: [&'static str; 2],
    calls: [&'static str; 2],
    events: [CallEvent; 2],
    inputs: [Option<&'static str>; 2],
    code: Option<&'static str>,
    answers: [&'static str; 2],
}

const NO_PATH: [&str; 2] = ["", ""];
const NEW_THEN_RESUME: [CallEvent; 2] = [CallEvent::New, CallEvent::Resume];
const UNMARKED: [CallEvent; 2] = [CallEvent::Unmarked, CallEvent::Unmarked];
const CON_END: [&str; 2] = ["CON Hi & <bye>\n1. Go", "END Hi & <bye>\n1. Go"];

const CASES: &[PresetCase] = &[
    PresetCase {
        name: "africas-talking",
        path: NO_PATH,
        calls: [
            "sessionId=s1&serviceCode=*384*123%23&phoneNumber=%2B233244000001&networkCode=63902&text=",
            "sessionId=s1&serviceCode=*384*123%23&phoneNumber=%2B233244000001&networkCode=63902&text=1*Thabo",
        ],
        events: UNMARKED,
        inputs: [Some(""), Some("1*Thabo")],
        code: Some("*384*123#"),
        answers: CON_END,
    },
    PresetCase {
        name: "hellio",
        path: NO_PATH,
        calls: [
            "sessionId=s1&serviceCode=*384*123%23&phoneNumber=%2B233244000001&text=",
            "sessionId=s1&serviceCode=*384*123%23&phoneNumber=%2B233244000001&text=1",
        ],
        events: UNMARKED,
        inputs: [Some(""), Some("1")],
        code: Some("*384*123#"),
        answers: CON_END,
    },
    PresetCase {
        name: "mobile-sasa",
        path: NO_PATH,
        calls: [
            "sessionId=s1&serviceCode=*384*123%23&phoneNumber=%2B233244000001&text=",
            "sessionId=s1&serviceCode=*384*123%23&phoneNumber=%2B233244000001&text=1",
        ],
        events: UNMARKED,
        inputs: [Some(""), Some("1")],
        code: Some("*384*123#"),
        answers: CON_END,
    },
    PresetCase {
        name: "hubtel",
        path: NO_PATH,
        calls: [
            r#"{"SessionId":"s1","Mobile":"233244000001","ServiceCode":"*713#","Message":"*713*1#","Type":"Initiation","Sequence":1,"Operator":"mtn"}"#,
            r#"{"SessionId":"s1","Mobile":"233244000001","ServiceCode":"*713#","Message":"1","Type":"response","Sequence":2,"Operator":"mtn"}"#,
        ],
        events: NEW_THEN_RESUME,
        inputs: [Some("*713*1#"), Some("1")],
        code: Some("*713#"),
        answers: [
            r#"{"DataType":"input","FieldType":"text","Label":"Menu","Message":"Hi & <bye>\n1. Go","SessionId":"s1","Type":"response"}"#,
            r#"{"DataType":"display","FieldType":"text","Label":"Menu","Message":"Hi & <bye>\n1. Go","SessionId":"s1","Type":"release"}"#,
        ],
    },
    PresetCase {
        name: "arkesel",
        path: NO_PATH,
        calls: [
            r#"{"sessionID":"s1","userID":"u","newSession":true,"msisdn":"233244000001","userData":"*928#","network":"MTN"}"#,
            r#"{"sessionID":"s1","userID":"u","newSession":false,"msisdn":"233244000001","userData":"2","network":"MTN"}"#,
        ],
        events: NEW_THEN_RESUME,
        inputs: [Some("*928#"), Some("2")],
        code: None,
        answers: [
            r#"{"continueSession":true,"message":"Hi & <bye>\n1. Go","msisdn":"233244000001","sessionID":"s1","userID":"u"}"#,
            r#"{"continueSession":false,"message":"Hi & <bye>\n1. Go","msisdn":"233244000001","sessionID":"s1","userID":"u"}"#,
        ],
    },
    PresetCase {
        name: "nalo",
        path: NO_PATH,
        calls: [
            r#"{"SESSIONID":"s1","USERID":"u","MSISDN":"233244000001","USERDATA":"*920#","MSGTYPE":true,"NETWORK":"MTN"}"#,
            r#"{"SESSIONID":"s1","USERID":"u","MSISDN":"233244000001","USERDATA":"2","MSGTYPE":false,"NETWORK":"MTN"}"#,
        ],
        events: NEW_THEN_RESUME,
        inputs: [Some("*920#"), Some("2")],
        code: None,
        answers: [
            r#"{"MSG":"Hi & <bye>\n1. Go","MSGTYPE":true,"MSISDN":"233244000001","USERDATA":"*920#","USERID":"u"}"#,
            r#"{"MSG":"Hi & <bye>\n1. Go","MSGTYPE":false,"MSISDN":"233244000001","USERDATA":"2","USERID":"u"}"#,
        ],
    },
    PresetCase {
        name: "moolre",
        path: NO_PATH,
        calls: [
            r#"{"sessionid":"s1","new":1,"msisdn":"233244000001","network":3,"message":"","extension":"717","data":""}"#,
            r#"{"sessionid":"s1","new":0,"msisdn":"233244000001","network":3,"message":"2","extension":"717","data":""}"#,
        ],
        events: NEW_THEN_RESUME,
        inputs: [Some(""), Some("2")],
        code: Some("717"),
        answers: [
            r#"{"message":"Hi & <bye>\n1. Go","reply":true}"#,
            r#"{"message":"Hi & <bye>\n1. Go","reply":false}"#,
        ],
    },
    PresetCase {
        name: "uzo",
        path: NO_PATH,
        calls: [
            r#"{"sessionID":"s1","msisdn":"233244000001","code":"*389#","ussdString":"*389#","ussdServiceOp":1}"#,
            r#"{"sessionID":"s1","msisdn":"233244000001","code":"*389#","ussdString":"2","ussdServiceOp":18}"#,
        ],
        events: NEW_THEN_RESUME,
        inputs: [Some("*389#"), Some("2")],
        code: Some("*389#"),
        answers: [
            r#"{"message":"Hi & <bye>\n1. Go","ussdServiceOp":2}"#,
            r#"{"message":"Hi & <bye>\n1. Go","ussdServiceOp":17}"#,
        ],
    },
    PresetCase {
        name: "oltranz",
        path: NO_PATH,
        calls: [
            r#"{"sessionId":"s1","serviceCode":"*662#","phoneNumber":"+233244000001","networkCode":"1","text":"","newRequest":true}"#,
            r#"{"sessionId":"s1","serviceCode":"*662#","phoneNumber":"+233244000001","networkCode":"1","text":"2","newRequest":false}"#,
        ],
        events: NEW_THEN_RESUME,
        inputs: [Some(""), Some("2")],
        code: Some("*662#"),
        answers: [
            r#"{"action":"CON","networkCode":"1","newRequest":true,"phoneNumber":"+233244000001","response":"Hi & <bye>\n1. Go","serviceCode":"*662#","sessionId":"s1","text":""}"#,
            r#"{"action":"END","networkCode":"1","newRequest":false,"phoneNumber":"+233244000001","response":"Hi & <bye>\n1. Go","serviceCode":"*662#","sessionId":"s1","text":"2"}"#,
        ],
    },
    PresetCase {
        name: "infobip",
        path: ["session/s1/start", "session/s1/response"],
        calls: [
            r#"{"msisdn":"233244000001","shortCode":"*120#","text":"","imsi":"1","language":"en","ussdGwId":"g"}"#,
            r#"{"msisdn":"233244000001","shortCode":"*120#","text":"2","imsi":"1","language":"en","ussdGwId":"g"}"#,
        ],
        events: NEW_THEN_RESUME,
        inputs: [Some(""), Some("2")],
        code: Some("*120#"),
        answers: [
            r#"{"responseExitCode":200,"shouldClose":false,"ussdMenu":"Hi & <bye>\n1. Go"}"#,
            r#"{"responseExitCode":200,"shouldClose":true,"ussdMenu":"Hi & <bye>\n1. Go"}"#,
        ],
    },
    PresetCase {
        name: "crossgate",
        path: NO_PATH,
        calls: [
            "session_id=s1&msisdn=233244000001&service_code=*384%23&ussd_string=",
            "session_id=s1&msisdn=233244000001&service_code=*384%23&ussd_string=2",
        ],
        events: UNMARKED,
        inputs: [Some(""), Some("2")],
        code: Some("*384#"),
        answers: CON_END,
    },
    PresetCase {
        name: "bonga",
        path: NO_PATH,
        calls: [
            "session_id=s1&mobile_number=233244000001&service_code=*384%23&message=",
            "session_id=s1&mobile_number=233244000001&service_code=*384%23&message=2",
        ],
        events: UNMARKED,
        inputs: [Some(""), Some("2")],
        code: Some("*384#"),
        answers: CON_END,
    },
    PresetCase {
        name: "jaza-africa",
        path: NO_PATH,
        calls: [
            "SESSIONID=s1&MSISDN=233244000001&USSDCODE=*384%23&INPUT=",
            "SESSIONID=s1&MSISDN=233244000001&USSDCODE=*384%23&INPUT=2",
        ],
        events: UNMARKED,
        inputs: [Some(""), Some("2")],
        code: Some("*384#"),
        answers: CON_END,
    },
    PresetCase {
        name: "advanta",
        path: NO_PATH,
        calls: [
            "SESSIONID=s1&MSISDN=233244000001&USSDCODE=*384%23&INPUT=",
            "SESSIONID=s1&MSISDN=233244000001&USSDCODE=*384%23&INPUT=2",
        ],
        events: UNMARKED,
        inputs: [Some(""), Some("2")],
        code: Some("*384#"),
        answers: CON_END,
    },
    PresetCase {
        name: "hollatags",
        path: NO_PATH,
        calls: [
            "session_id=s1&session_msisdn=233244000001&session_from=*347%23&session_msg=&session_operation=begin&session_mno=MTN",
            "session_id=s1&session_msisdn=233244000001&session_from=*347%23&session_msg=2&session_operation=continue&session_mno=MTN",
        ],
        events: NEW_THEN_RESUME,
        inputs: [Some(""), Some("2")],
        code: Some("*347#"),
        answers: [
            r#"{"session_id":"s1","session_msg":"Hi & <bye>\n1. Go","session_operation":"continue","session_type":1}"#,
            r#"{"session_id":"s1","session_msg":"Hi & <bye>\n1. Go","session_operation":"end","session_type":4}"#,
        ],
    },
    PresetCase {
        name: "channel-mobile",
        path: NO_PATH,
        calls: [
            "ussdSessionId=s1&msisdn=233244000001&provider=vodacom&request=*120*1%23&requestid=1",
            "ussdSessionId=s1&msisdn=233244000001&provider=vodacom&request=2&requestid=2",
        ],
        events: UNMARKED,
        inputs: [Some("*120*1#"), Some("2")],
        code: None,
        answers: [
            r#"<?xml version="1.0" encoding="UTF-8"?><response><displaytext>Hi &amp; &lt;bye&gt;
1. Go</displaytext><requestid>1</requestid></response>"#,
            r#"<?xml version="1.0" encoding="UTF-8"?><response><displaytext>Hi &amp; &lt;bye&gt;
1. Go</displaytext><requestid>2</requestid></response>"#,
        ],
    },
];

impl PresetCase {
    fn bytes(&self, number: usize) -> CallBytes<'_> {
        let (path, call, shape) = (self.path[number], self.calls[number], preset(self.name).unwrap().shape);
        match shape.format {
            CallFormat::Query => CallBytes { path, query: call, ..CallBytes::default() },
            format => CallBytes { path, is_form: format == CallFormat::Form, body: call.as_bytes(), query: "" },
        }
    }
}

fn screen(is_open: bool) -> UssdAnswer {
    UssdAnswer { text: "Hi & <bye>\n1. Go".to_owned(), is_open }
}

#[test]
fn every_aggregator_of_the_table_has_a_case_and_a_shape_without_problems() {
    let mut cases: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    cases.sort_unstable();
    assert_eq!(names(), cases);
    for name in names() {
        let preset = preset(&name).unwrap_or_else(|| panic!("the row of {name} is not read"));
        assert_eq!(preset.shape.problems(), [], "{name}");
        assert!((5..=30).contains(&preset.answers_within.as_secs()) && (140..=182).contains(&preset.screen), "{name}");
    }
}

#[test]
fn every_aggregators_calls_are_read_and_its_screens_written() {
    for case in CASES {
        let shape = preset(case.name).unwrap().shape;
        for number in [0, 1] {
            let call = shape.read_call(&case.bytes(number)).unwrap_or_else(|wrong| panic!("{}: {wrong}", case.name));
            assert_eq!((call.session.as_str(), call.person.as_str()), ("s1", "233244000001"), "{}", case.name);
            assert_eq!(call.event, case.events[number], "{}", case.name);
            assert_eq!(
                (call.input.as_deref(), call.code.as_deref()),
                (case.inputs[number], case.code),
                "{}",
                case.name
            );
            let written = shape.write_answer(&call, &screen(number == 0));
            assert_eq!(written.body, case.answers[number], "{}", case.name);
            assert_eq!(written.content_type.starts_with("application/json"), written.body.starts_with('{'));
        }
    }
}

#[test]
fn what_is_written_as_an_aggregator_is_read_as_its_own() {
    for name in names() {
        let shape = preset(&name).unwrap().shape;
        let call = UssdCall {
            session: "a/b c".to_owned(),
            person: "233244000001".to_owned(),
            code: Some("*384*123#".to_owned()),
            input: Some("1*é & 2".to_owned()),
            event: CallEvent::Resume,
            turn: Some("3".to_owned()),
            operator: Some("MTN".to_owned()),
            ..UssdCall::default()
        };
        let written = shape.write_call(&call);
        let body = written.body.clone().unwrap_or(("", String::new()));
        let path = written.path.replace("a%2Fb+c", "a%2Fb c");
        let read = shape.read_call(&CallBytes {
            path: &path,
            query: &written.query,
            is_form: body.0.contains("form"),
            body: body.1.as_bytes(),
        });
        let read = read.unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        assert_eq!((&read.person, &read.input), (&call.person, &call.input), "{name}");
        assert!(read.event != CallEvent::New && (read.code == call.code || shape.fields.code.is_none()), "{name}");
        if name != "infobip" {
            assert_eq!(read.session, call.session, "{name}");
        }
    }
}

#[test]
fn an_answer_of_an_application_is_read_as_it_is_written() {
    for name in names() {
        let shape = preset(&name).unwrap().shape;
        for is_open in [true, false] {
            let written = shape
                .write_answer(&UssdCall { fields: json!({"requestid": "1"}), ..UssdCall::default() }, &screen(is_open));
            let read = shape.read_answer(&written.body).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
            let says_it = name != "channel-mobile";
            assert_eq!(read, screen(is_open || !says_it), "{name}");
        }
    }
}

#[test]
fn the_ends_that_aggregators_tell_are_ends() {
    let ends: [(&str, &str, &str); 5] = [
        (
            "africas-talking",
            "",
            "sessionId=s1&phoneNumber=%2B233244000001&serviceCode=*384%23&status=Incomplete&input=1*2&hopsCount=2",
        ),
        ("hubtel", "", r#"{"SessionId":"s1","Mobile":"233244000001","Message":"","Type":"Release"}"#),
        ("uzo", "", r#"{"sessionID":"s1","msisdn":"233244000001","ussdServiceOp":30}"#),
        ("infobip", "session/s1/end", r#"{"msisdn":"233244000001","reason":"x"}"#),
        ("hollatags", "", "session_id=s1&session_msisdn=233244000001&session_operation=end"),
    ];
    for (name, path, call) in ends {
        let shape = preset(name).unwrap().shape;
        let form = !call.starts_with('{');
        let query = if form && shape.format == CallFormat::Query { call } else { "" };
        let body: &[u8] = if query.is_empty() { call.as_bytes() } else { b"" };
        let read = shape.read_call(&CallBytes { path, query, is_form: form, body }).unwrap();
        assert_eq!((read.event, read.session.as_str()), (CallEvent::End, "s1"), "{name}");
    }
}

#[test]
fn the_last_input_stands_beside_the_joined_ones_for_an_application() {
    let shape = preset("africas-talking").unwrap().shape;
    let call = UssdCall {
        session: "s".into(),
        person: "254".into(),
        input: Some("1*2".into()),
        last: Some("2".into()),
        ..UssdCall::default()
    };
    let (_, body) = shape.write_call(&call).body.unwrap();
    assert_eq!(body, "input=2&phoneNumber=%2B254&sessionId=s&text=1*2");
}

#[test]
fn fields_may_be_nested() {
    let shape: Value = json!({
        "format": "json",
        "fields": {"session": "/data/session/id", "person": "/data/who", "input": "/data/text"},
        "answer": {"json": {"text": "/reply/text", "marks": [{"field": "/reply/end", "open": "no", "close": "yes"}]}},
    });
    let shape: crate::UssdShape = serde_json::from_value(shape).unwrap();
    let call = UssdCall { session: "s".into(), person: "254".into(), input: Some("2".into()), ..UssdCall::default() };
    let (_, body) = shape.write_call(&call).body.unwrap();
    assert_eq!(body, r#"{"data":{"session":{"id":"s"},"text":"2","who":"254"}}"#);
    let read = shape.read_call(&CallBytes { body: body.as_bytes(), ..CallBytes::default() }).unwrap();
    assert_eq!((read.session, read.input), (call.session.clone(), call.input.clone()));
    assert_eq!(shape.write_answer(&call, &screen(false)).body, r#"{"reply":{"end":"yes","text":"Hi & <bye>\n1. Go"}}"#);
}
