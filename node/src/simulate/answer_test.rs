//! Which answer a request gets, as tables.

use serde_json::json;

use super::*;

const VOICE: Voice = Voice { seed: 1, tokens: 20, chunk_tokens: 1, persona: Persona::Filler };

fn ask(question: &str, choice: ToolChoice) -> Ask {
    let tool = |name: &str| Tool {
        name: name.to_owned(),
        schema: json!({"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}),
    };
    Ask {
        question: question.to_owned(),
        choice,
        tools: vec![tool("get_weather"), tool("get_time")],
        ..Ask::new("m")
    }
}

#[test]
fn calls_tools_when_asked_to() {
    let named = || ToolChoice::Named("get_time".to_owned());
    #[rustfmt::skip]
    let cases: Vec<(&str, ToolChoice, &[&str])> = vec![
        ("hello",                     ToolChoice::Auto,  &[]),                         // nobody asked
        ("use a tool",                ToolChoice::Auto,  &["get_weather"]),            // the word
        ("a stool please",            ToolChoice::Auto,  &[]),                         // only as a word
        ("call get_time.",            ToolChoice::Auto,  &["get_time"]),               // a tool's name
        ("use a tool, twice",         ToolChoice::Auto,  &["get_weather", "get_weather"]),
        ("get_time, get_weather twice", ToolChoice::Any, &["get_weather", "get_time"]), // in the list's order
        ("hello",                     ToolChoice::Any,   &["get_weather"]),            // forced
        ("hello",                     named(),           &["get_time"]),               // forced by name
        ("use a tool",                ToolChoice::Never, &[]),                         // forbidden
    ];
    for (question, choice, expected) in cases {
        let answer = answer(&ask(question, choice.clone()), &VOICE, 7);
        let called: Vec<&str> = answer.calls().map(|call| call.name.as_str()).collect();
        assert_eq!(called, expected, "{question:?} {choice:?}");
        for call in answer.calls() {
            let arguments: Value = serde_json::from_str(&call.arguments.concat()).unwrap();
            assert_eq!(arguments, json!({"city": "example"}));
        }
        assert_eq!(answer.finish == Finish::Tools, !expected.is_empty());
    }
}

#[test]
fn a_tool_result_is_answered_with_text() {
    let mut asked = ask("use a tool", ToolChoice::Any);
    asked.after_tool = true;
    assert_eq!(answer(&asked, &VOICE, 7).calls().count(), 0);
}

#[test]
fn parallel_calls_can_be_forbidden() {
    let mut asked = ask("use a tool twice", ToolChoice::Auto);
    asked.parallel = Parallel::Forbidden;
    assert_eq!(answer(&asked, &VOICE, 7).calls().count(), 1);
}

#[test]
fn keeps_within_the_cap() {
    #[rustfmt::skip]
    let cases = [
        // reasoning cap       output thought finish          why
        (0,          None,      20,    0, Finish::Stop),   // --tokens
        (0,          Some(100), 20,    0, Finish::Stop),   // a high cap changes nothing
        (0,          Some(20),  20,    0, Finish::Stop),   // just enough
        (0,          Some(5),    5,    0, Finish::Length), // cut
        (8,          None,      28,    8, Finish::Stop),   // thought is output
        (8,          Some(10),  10,    8, Finish::Length), // and counts first
        (8,          Some(3),    3,    3, Finish::Length), // even alone
    ];
    for (reasoning, output_cap, output, thought, finish) in cases {
        let asked = Ask { output_cap, reasoning, ..Ask::new("m") };
        let answer = answer(&asked, &VOICE, 7);
        let got = (answer.output(), answer.reasoning(), answer.finish);
        assert_eq!(got, (output, thought, finish), "{reasoning} {output_cap:?}");
    }
}

#[test]
fn ends_at_the_first_stop_sequence() {
    let whole = answer(&Ask::new("m"), &VOICE, 7).text();
    let second = whole.split(' ').nth(2).unwrap().to_owned();
    let asked = Ask { stops: vec!["never said".to_owned(), second.clone()], ..Ask::new("m") };
    let answer = answer(&asked, &VOICE, 7);
    assert_eq!(answer.finish, Finish::StopSequence(second.clone()));
    assert_eq!(answer.text(), whole[..whole.find(&second).unwrap()]);
}

#[test]
fn answers_in_json_of_the_schema() {
    let asked = Ask {
        schema: Some(json!({"required": ["n"], "properties": {"n": {"type": "integer"}}})),
        ..Ask::new("m")
    };
    assert_eq!(answer(&asked, &VOICE, 7).text(), r#"{"n":1}"#);
}

#[test]
fn the_demo_echoes_the_question() {
    let voice = Voice { persona: Persona::Demo, ..VOICE };
    let asked = Ask { question: "Is it \"on\"?".to_owned(), ..Ask::new("m") };
    let text = answer(&asked, &voice, 7).text();
    assert!(text.contains("tollgate-demo") && text.contains("Is it \"on\"?"), "{text}");
}
