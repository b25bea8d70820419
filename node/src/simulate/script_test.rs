//! The grammar as tables: what is played, and what is refused.

use super::*;

#[test]
fn plays_steps_in_order() {
    #[rustfmt::skip]
    let cases = [
        // script                  first five                                   why
        ("",                       ["ok", "ok", "ok", "ok", "ok"]),          // nothing scripted
        ("429*2",                  ["429", "429", "ok", "ok", "ok"]),        // a last count ends
        ("429",                    ["429", "429", "429", "429", "429"]),     // a last step stays
        ("429,ok",                 ["429", "ok", "ok", "ok", "ok"]),         // an earlier one is for one request
        ("ok*3,500",               ["ok", "ok", "ok", "500", "500"]),        // three good ones, then …
        ("429:retry-after=1*1",    ["429", "ok", "ok", "ok", "ok"]),         // options before the count
        ("drop, hang ,html502*1",  ["drop", "hang", "html502", "ok", "ok"]), // spaces don't matter
        ("reset@5*1,cut@0*1,529",  ["Reset@5", "Cut@0", "529", "529", "529"]),
        ("error@1,stall@2,garbage@3", ["Error@1", "Stall@2", "Garbage@3", "Garbage@3", "Garbage@3"]),
        ("500@1,429",              ["500", "500", "500", "500", "500"]),     // a certain chance wins
        ("500@0,429*1",            ["429", "ok", "ok", "ok", "ok"]),         // an impossible one never
        ("reset@2@1.0",            ["Reset@2"; 5]),                          // chunks, then probability
        ("slow=5ms,bytes=7,503*1", ["503", "ok", "ok", "ok", "ok"]),         // manners are no steps
    ];
    for (text, expected) in cases {
        let script: Script = text.parse().unwrap();
        let schedule = Schedule::new(script);
        let played: Vec<String> = (0..5).map(|_| name(schedule.next(1))).collect();
        assert_eq!(played, expected, "{text}");
    }
}

#[test]
fn chances_follow_the_seed() {
    let play = |seed| -> Vec<String> {
        let schedule = Schedule::new("503@0.3".parse().unwrap());
        (0..1000).map(|_| name(schedule.next(seed))).collect()
    };
    let hits = play(7).iter().filter(|name| *name == "503").count();
    assert!((240..360).contains(&hits), "about 300 expected, got {hits}");
    assert_eq!(play(7), play(7), "a seed repeats");
    assert_ne!(play(7), play(8), "another seed differs");
}

#[test]
fn reads_manners_and_options() {
    let script: Script =
        "slow=200ms,latency=1.5s,tokens=9,bytes=7,comments,crlf,429:retry-after=1:code=quota"
            .parse()
            .unwrap();
    let expected = Manner {
        slow: Duration::from_millis(200),
        latency: Some(Duration::from_millis(1500)),
        tokens: Some(9),
        piece_bytes: Some(7),
        comments: true,
        crlf: true,
    };
    assert_eq!(script.manner, expected);
    let Action::Refuse(refusal) = script.step(0) else {
        panic!("expected a refusal, got {:?}", script.step(0));
    };
    assert_eq!(refusal.code.as_deref(), Some("quota"));
    assert_eq!(refusal.headers.len(), 1);
    assert_eq!(refusal.headers[0].1, "1");
}

#[test]
fn refuses_what_it_cannot_play() {
    #[rustfmt::skip]
    let cases = [
        // script              why
        ("teapot",             "no such action"),
        ("200",                "not a failure"),
        ("600",                "not a status"),
        ("reset",              "no number of chunks"),
        ("reset@x",            "not a number of chunks"),
        ("cut@0.5",            "chunks are whole"),
        ("429*x",              "not a count"),
        ("429*-1",             "not a count"),
        ("503@1.5",            "not a probability"),
        ("503@NaN",            "not a probability"),
        ("503@0.1*3",          "a chance has no count"),
        ("reset@1@0.5@3",      "one @ too many"),
        ("drop:retry-after=1", "options need a status"),
        ("429:retry-after",    "an option needs a value"),
        ("429:a b=1",          "not a header name"),
        ("slow=fast",          "not a duration"),
        ("slow=-1s",           "time goes forward"),
        ("latency=99999999m",  "longer than a day"),
        ("tokens=-1",          "not a number"),
        ("tokens=1000001",     "no answer is that long"),
        ("bytes=",             "not a number"),
        ("html200",            "not a failure"),
        (",",                  "empty items"),
        ("429,,500",           "an empty item"),
    ];
    for (text, why) in cases {
        let error = text.parse::<Script>().expect_err(why);
        assert!(error.to_string().contains("expected"), "{text}: {error}");
    }
}

fn name(action: &Action) -> String {
    match action {
        Action::Answer => "ok".to_owned(),
        Action::Refuse(refusal) => refusal.status.as_u16().to_string(),
        Action::Html(status) => format!("html{}", status.as_u16()),
        Action::Drop => "drop".to_owned(),
        Action::Hang => "hang".to_owned(),
        Action::Break(Break { how, after_chunks }) => format!("{how:?}@{after_chunks}"),
    }
}
