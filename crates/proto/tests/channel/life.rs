//! How channels end and are replaced.

use parallax_proto::channel::{
    Block, ChannelEnd, ChannelLimits, ClientKey, Event, OpeningError, OpeningRequest, Registration, ServerSettings,
    Status, Why,
};

use crate::world::{World, client, seconds};

fn why(world: &mut World, channel: &mut parallax_proto::channel::ClientChannel) -> Option<Why> {
    let (_, message) = channel.control(parallax_proto::channel::Control::Ping, world.now).ok()?;
    world.hear(&message).err().map(|refusal| refusal.why())
}

#[test]
fn an_hour_and_ten_minutes_of_silence_at_most() {
    let mut world = World::new();
    let mut channel = world.open(&client(1));
    for minute in 1..60 {
        world.wait(60);
        world.echo(&mut channel, &minute.to_string());
    }
    world.wait(59);
    world.echo(&mut channel, "last");
    world.wait(1);
    assert!(channel.has_ended(world.now));
    assert_eq!(world.server.len(), 1);
    world.server.tick(world.now);
    assert!(world.server.is_empty());

    let mut idle = world.open(&client(1));
    assert_eq!(world.server.tick(world.now), Some(world.now.plus(seconds(600))));
    world.wait(599);
    world.echo(&mut idle, "1");
    world.wait(600);
    world.server.tick(world.now);
    assert!(world.server.is_empty() && idle.has_ended(world.now));
    let ends: Vec<_> = world.server.take_events();
    let whys = ends.iter().map(|event| match event {
        Event::Ended { why, .. } => *why,
        other => panic!("{other:?}"),
    });
    assert_eq!(whys.collect::<Vec<_>>(), [ChannelEnd::Expired, ChannelEnd::Idle]);
}

#[test]
fn what_has_ended_is_unknown_also_before_a_tick() {
    let mut world = World::new();
    let mut channel = world.open(&client(1));
    let (_, message) = channel.control(parallax_proto::channel::Control::Ping, world.now).unwrap();
    world.wait(601);
    let gone = world.hear(&message).unwrap_err();
    assert_eq!((gone.why(), gone.status()), (Why::NoChannel, Status::Unauthorised));
}

#[test]
fn so_many_messages_and_no_more() {
    let limits = ChannelLimits { messages: 20, ..Default::default() };
    let mut world = World::with(ServerSettings { limits, ..Default::default() });
    let mut channel = world.open(&client(1));
    for id in 1..=20 {
        let warned = !world.echo(&mut channel, &id.to_string()).warnings.is_empty();
        assert_eq!(warned, id >= 19, "{id}");
    }
    assert!(channel.has_ended(world.now));
}

#[test]
fn a_replaced_channel_goes_on_for_thirty_seconds() {
    let mut world = World::new();
    let key = client(1);
    let mut old = world.open(&key);
    world.wait(400);
    let wanted = OpeningRequest { replaces: Some(old.id()), ..world.wanted() };
    let mut new = world.try_open(&key, wanted).unwrap();
    let answer = world.echo(&mut old, "1");
    assert_eq!(answer.valid_until, world.now.plus(seconds(30)));
    assert!(!answer.warnings.is_empty() && old.is_due(world.now), "and says so");
    world.wait(29);
    world.echo(&mut old, "2");
    world.echo(&mut new, "1");
    world.wait(1);
    assert!(old.has_ended(world.now));
    world.server.tick(world.now);
    assert_eq!(world.server.len(), 1);
    world.echo(&mut new, "2");
}

#[test]
fn only_a_channel_of_the_same_key_is_replaced() {
    let mut world = World::new();
    let mut victim = world.open(&client(1));
    let wanted = OpeningRequest { replaces: Some(victim.id()), ..world.wanted() };
    let Err(OpeningError::Told(told)) = world.try_open(&client(2), wanted.clone()) else { panic!() };
    assert_eq!(told.status(), Status::Unauthorised);
    assert_eq!(world.echo(&mut victim, "1").warnings, vec![]);
    world.server.end(victim.id());
    assert!(matches!(world.try_open(&client(1), wanted), Err(OpeningError::Told(_))), "nor one that is not there");
}

#[test]
fn four_channels_a_key_and_the_oldest_goes() {
    let mut world = World::with(ServerSettings { too_frequent: 1000, blocked_at: 1000, ..Default::default() });
    let key = client(1);
    let mut channels: Vec<_> = (0..5)
        .map(|_| {
            world.wait(1);
            world.open(&key)
        })
        .collect();
    assert_eq!(world.server.len(), 4);
    assert_eq!(why(&mut world, &mut channels[0]), Some(Why::NoChannel));
    assert_eq!(why(&mut world, &mut channels[1]), None);
    // What was replaced goes before what is older.
    world.wait(600 - 5);
    let wanted = OpeningRequest { replaces: Some(channels[3].id()), ..world.wanted() };
    let mut sixth = world.try_open(&key, wanted).unwrap();
    assert_eq!(why(&mut world, &mut channels[3]), Some(Why::NoChannel));
    assert_eq!(why(&mut world, &mut sixth), None);
    assert!(matches!(
        world.server.take_events()[..],
        [Event::Ended { why: ChannelEnd::Crowded, .. }, Event::Ended { why: ChannelEnd::Crowded, .. }]
    ));
}

#[test]
fn frequent_replacement_slows_down_and_then_blocks() {
    let settings = ServerSettings {
        key_creations: parallax_proto::channel::Rate { burst: 1000, every: seconds(1) },
        ..Default::default()
    };
    let mut world = World::with(settings);
    let key = client(1);
    let mut last = world.open(&key);
    for _ in 0..10 {
        let wanted = OpeningRequest { replaces: Some(last.id()), ..world.wanted() };
        last = world.try_open(&key, wanted).unwrap();
    }
    for count in 11..=30 {
        let wanted = OpeningRequest { replaces: Some(last.id()), ..world.wanted() };
        let Err(OpeningError::Told(told)) = world.try_open(&key, wanted) else { panic!() };
        let status = if count < 30 { Status::TooManyRequests } else { Status::Forbidden };
        assert_eq!(told.status(), status, "{count}");
        assert!(told.obeyed().is_some(), "signed, since the key's own signature held");
    }
    let blocked = world.server.take_events();
    let Some(Event::Blocked { key: who, block }) =
        blocked.into_iter().find(|event| matches!(event, Event::Blocked { .. }))
    else {
        panic!()
    };
    assert_eq!((who, block.until), (key.id(), Some(world.now.plus(seconds(3600)))));

    // A restart: the block is what is left.
    let mut fresh = World::new();
    fresh.server.set_block(who, Some(block));
    let wanted = fresh.wanted();
    let Err(OpeningError::Told(told)) = fresh.try_open(&key, wanted) else { panic!() };
    assert_eq!((told.status(), told.obeyed()), (Status::Forbidden, Some(seconds(3600))));
    fresh.wait(3600);
    fresh.open(&key);
}

#[test]
fn who_replaces_in_time_is_never_slowed_down() {
    let mut world = World::new();
    let key = client(1);
    let mut channel = world.open(&key);
    for _ in 0..100 {
        while !channel.is_due(world.now) {
            world.wait(240);
            world.echo(&mut channel, "same");
        }
        let wanted = OpeningRequest { replaces: Some(channel.id()), ..world.wanted() };
        channel = world.try_open(&key, wanted).unwrap();
    }
    assert!(world.server.take_events().iter().all(|event| !matches!(event, Event::Blocked { .. })));
}

#[test]
fn an_operators_block_holds_for_good_and_a_denied_key_ends_at_once() {
    let mut world = World::new();
    let key = client(1);
    let mut channel = world.open(&key);
    world.server.set_block(key.id(), Some(Block { until: None, times: 0 }));
    assert_eq!(why(&mut world, &mut channel), Some(Why::Blocked));
    let wanted = world.wanted();
    let Err(OpeningError::Told(told)) = world.try_open(&key, wanted) else { panic!() };
    assert_eq!((told.status(), told.obeyed()), (Status::Forbidden, Some(seconds(24 * 3600))));
    world.server.set_block(key.id(), None);
    assert_eq!(why(&mut world, &mut channel), None);
    world.server.end_key(key.id());
    assert_eq!(why(&mut world, &mut channel), Some(Why::NoChannel));
}

#[test]
fn a_channel_ends_with_the_certificate() {
    let mut world = World::new();
    let wanted = world.wanted();
    let (message, opening) = world.ask(&client(1), wanted);
    let until = world.now.plus(seconds(100));
    let certified = |_: &ClientKey| Registration::Registered { until: Some(until) };
    let installed = world.server.create(None, &message, &certified, world.now, &mut world.rng).unwrap();
    assert_eq!(opening.created(&installed.bytes, world.now).unwrap().valid_until(), until);
    let wanted = world.wanted();
    let (message, _) = world.ask(&client(2), wanted);
    let over = |_: &ClientKey| Registration::Registered { until: Some(crate::world::START) };
    let refusal = world.server.create(None, &message, &over, world.now, &mut world.rng).unwrap_err();
    assert_eq!(refusal.status(), Status::Unauthorised);
}

#[test]
fn a_client_may_want_less_time() {
    let mut world = World::new();
    for (wanted, granted) in [(30, 30), (0, 1), (100_000, 3600)] {
        let wanted = OpeningRequest { max_lifetime: Some(seconds(wanted)), ..world.wanted() };
        assert_eq!(world.try_open(&client(1), wanted).unwrap().valid_until(), world.now.plus(seconds(granted)));
    }
}

#[test]
fn there_is_room_for_so_many() {
    let mut world = World::with(ServerSettings { channels: 2, ..Default::default() });
    let mut one = world.open(&client(1));
    world.open(&client(2));
    let wanted = world.wanted();
    let Err(OpeningError::Told(told)) = world.try_open(&client(3), wanted) else { panic!() };
    assert_eq!((told.status(), told.obeyed()), (Status::Unavailable, None));
    assert_eq!(why(&mut world, &mut one), None, "those who are there stay");
}
