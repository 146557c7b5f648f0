use super::*;
use crate::chance::Chance;

#[test]
fn strangers_are_asked_about_what_is_the_public_s_alone() {
    let public = Federation::new(&KnownMirrors::nobody(false, &mut Chance));
    let own = Federation::new(&KnownMirrors::nobody(true, &mut Chance));
    for (service, asked) in [
        ("example.com", true),
        ("ssh://example.com:2222", true),
        ("8.8.8.8:853", true),
        ("[2a04:4e42::1]:443", true),
        ("localhost", false),
        ("nas.local", false),
        ("wiki.corp", false),
        ("printer", false),
        ("192.168.0.1", false),
        ("127.0.0.1:9443", false),
        ("[fe80::1]:443", false),
        ("[::ffff:10.0.0.1]:443", false),
    ] {
        let service: ServiceId = service.parse().unwrap();
        assert_eq!(public.asks_about(&service), asked, "{service}");
        assert!(own.asks_about(&service), "a network of one's own: {service}");
    }
}

#[tokio::test]
async fn with_nothing_under_way_nobody_waits() {
    let federation = Federation::new(&KnownMirrors::nobody(false, &mut Chance));
    let begun = std::time::Instant::now();
    federation.settle(Duration::from_secs(60)).await;
    assert!(begun.elapsed() < Duration::from_secs(30) && federation.take_noted().is_empty());
}
