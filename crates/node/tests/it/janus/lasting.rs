//! What a janus remembers when it starts again.

use parallax_node::{JanusSettings, MailRoute, Node};

use super::client::{Client, Janus};
use crate::support::{TestNode, now, settings, until};

impl Janus {
    /// The same node after it was stopped and started.
    async fn again(self, change: impl FnOnce(&mut JanusSettings)) -> Self {
        let Self { test: TestNode { node, data }, mails } = self;
        node.shutdown().await.unwrap();
        let mut janus = JanusSettings::new(MailRoute::Maildir(mails.path().into()));
        change(&mut janus);
        let mut settings = settings(data.path());
        settings.janus = Some(janus);
        Self { test: TestNode { node: Node::start(settings).await.unwrap(), data }, mails }
    }
}

#[tokio::test]
async fn orders_certificates_and_revocations_outlive_a_restart() {
    let janus = Janus::start().await;
    let [ann, bob, eve] = ["ann@example.com", "bob@example.com", "eve@example.com"].map(Client::new);
    let certified = janus.certify(&ann).await;
    let revoked = janus.certify(&eve).await;
    assert_eq!(janus.revoke(&eve, now()).await.status.as_u16(), 204);
    let placed = janus.place(&bob).await;
    let code = janus.mail_of(&placed).await.code();
    let ended = janus.place(&Client::new("ended@example.com")).await;
    for _ in 0..5 {
        janus.answer(&bob, &ended, "AAAAAAAA").await;
    }
    let janus = janus.again(|_| {}).await;
    janus.judge(&certified).await;
    assert!(janus.try_judge(&revoked).await.unwrap_err().to_string().contains("deny list"));
    assert_eq!(janus.renew(&certified).await.status.as_u16(), 200);
    assert_eq!(janus.renew(&revoked).await.problem(401), "certificate-required");
    assert_eq!(janus.answer(&bob, &placed, &code).await.status.as_u16(), 200);
    assert_eq!(janus.answer(&bob, &ended, "AAAAAAAA").await.problem(410), "order-ended");
}

#[tokio::test]
async fn a_mail_that_had_not_gone_out_goes_out_after_a_restart_and_its_secrets_were_on_no_disk() {
    let janus = Janus::start().await;
    let ann = Client::new("ann@example.com");
    // Nobody can put anything there.
    let elsewhere = janus.mails.path().with_extension("gone");
    std::fs::rename(janus.mails.path(), &elsewhere).unwrap();
    let placed = janus.place(&ann).await;
    // Who asked is told that mails can't be sent.
    until(async || janus.state(&placed).await.json()["stage"] == "delayed").await;
    std::fs::rename(&elsewhere, janus.mails.path()).unwrap();
    let janus = janus.again(|_| {}).await;
    let mail = janus.mail_of(&placed).await;
    assert!(mail.contains(&ann.phrase(&placed)), "{mail}");
    assert_eq!(janus.answer(&ann, &placed, &mail.token1(&placed)).await.status.as_u16(), 200);
}

#[tokio::test]
async fn no_secret_of_an_order_is_on_disk() {
    let janus = Janus::start().await;
    let ann = Client::new("ann@example.com");
    let placed = janus.place(&ann).await;
    let mail = janus.mail_of(&placed).await;
    let secrets = [mail.token1(&placed), mail.code(), placed.token2.clone()];
    let Janus { test: TestNode { node, data }, .. } = janus;
    node.shutdown().await.unwrap();
    let bytes = std::fs::read(data.path().join("parallax.sqlite")).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(&placed.order), "the order is there");
    for secret in secrets {
        assert!(!holds(&secret), "{secret} is in the database");
    }
}

#[tokio::test]
async fn keys_that_others_may_read_stop_the_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let janus = Janus::start().await;
    let Janus { test: TestNode { node, data }, mails } = janus;
    node.shutdown().await.unwrap();
    let dir = data.path().join("identity/janus");
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut settings = settings(data.path());
    settings.janus = Some(JanusSettings::new(MailRoute::Maildir(mails.path().into())));
    let error = Node::start(settings).await.unwrap_err().to_string();
    assert!(error.contains("identity/janus") && error.contains("chmod 0700"), "{error}");
}
