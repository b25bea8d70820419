//! `tollgate simulate-provider` as people start it: the line it prints, an answer, its counts, and a
//! script that it refuses.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// Ends the process when the test does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only if it ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn simulator(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.arg("simulate-provider").args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn exchange(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the simulator listens");
    let length = body.len();
    write!(
        stream,
        "{head} HTTP/1.1\r\nhost: simulator\r\nconnection: close\r\nauthorization: Bearer k\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .expect("the simulator reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the simulator answers");
    answer
}

#[test]
fn listens_answers_and_counts() {
    let mut running = Running(
        simulator(&["--listen", "127.0.0.1:0", "--tokens", "7", "--fail", "ok*1,503"]).spawn().unwrap(),
    );
    let mut line = String::new();
    let stdout = running.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let listening = "simulate-provider listening on http://";
    let rest = line.strip_prefix(listening).unwrap_or_else(|| panic!("got {line:?}"));
    let address = rest.split_whitespace().next().unwrap();

    let chat = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let first = exchange(address, "POST /v1/chat/completions", chat);
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    assert!(first.contains(r#""completion_tokens":7"#), "{first}");
    let second = exchange(address, "POST /v1/chat/completions", chat);
    assert!(second.starts_with("HTTP/1.1 503"), "{second}");
    let stats = exchange(address, "GET /simulate/stats", "");
    assert!(stats.contains(r#""output_tokens":7"#), "{stats}");
}

#[test]
fn refuses_a_bad_script_and_says_why() {
    let output = simulator(&["--fail", "429*2,teapot"]).output().unwrap();
    assert!(!output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("teapot") && message.contains("expected"), "{message}");
}
