//! A node that runs out of what its machine lends it goes on when there is some again.

#[expect(dead_code, reason = "no test file uses all of it")]
mod rust;

use rust::manifest::{GATEWAY, openai, route, rule};
use rust::{Ask, Gateway, Simulator, until};

/// Without free file descriptors no connection can be accepted. Who waits meanwhile is served afterwards, on both doors.
#[tokio::test]
async fn connections_are_accepted_again_when_there_are_files_again() {
    let simulator = Simulator::start(&[]).await;
    let manifest = GATEWAY.to_owned()
        + &openai("one", &simulator.address())
        + &route("all", "", &rule("gpt", "{name: one}", ""));
    let gateway = Gateway::start(&manifest).await;
    gateway.send(&Ask::chat("gpt")).await.expect(200);

    gateway.process.limit_files(1);
    let (client, admin) = (gateway.client, gateway.admin);
    let waiting = [
        tokio::spawn(async move { client.send(&Ask::get("/v1/models")).await }),
        tokio::spawn(async move { admin.send(&Ask::get("/readyz")).await }),
    ];
    until("the admin door to be short of files", async || {
        gateway.process.output().contains("could not accept a connection").then_some(())
    })
    .await;
    assert!(waiting.iter().all(|one| !one.is_finished()));

    gateway.process.limit_files(1_024);
    for one in waiting {
        one.await.expect("it does not panic").expect(200);
    }
    gateway.send(&Ask::chat("gpt")).await.expect(200);
}
