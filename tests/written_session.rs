//! The example session of the README: three users and a limit of two, from the first open to the acknowledged save.

mod support;

use coedit::door::Acknowledge;
use coedit::{Access, ChangeError, Config, Grant, Reason, Status};
use support::*;

#[test]
fn three_users_with_a_limit_of_two_through_the_library() {
    let world = World::new(|config| config.edit_limit(Some(2)));
    let report = key("report");
    let ann = world.edit("report", "ann");
    let ben = world.edit("report", "ben");
    let cleo = world.open("report", "cleo", Access::Edit);
    assert_eq!(cleo.granted(), Grant { access: Access::View, reason: Some(Reason::ConnectionLimit) });
    assert_eq!(cleo.change(), Err(ChangeError::ViewOnly));

    ann.change().unwrap();
    ben.change().unwrap();
    assert_eq!(world.engine.info(&report, None), Ok(vec![id("ann"), id("ben")]));
    let dropped = world.engine.drop_users(&report, &[id("ben")]).unwrap();
    assert_eq!((dropped.connections, dropped.unmatched), (vec![ben.id()], vec![]));
    assert_eq!(ben.change(), Err(ChangeError::ViewOnly));

    cleo.close();
    let cleo = world.edit("report", "cleo");
    cleo.change().unwrap();
    drop((ann, ben, cleo));
    assert_eq!(
        world.acknowledge_all(),
        [
            "1 +ann [ann]",
            "1 +ben [ann ben]",
            "1 [ann ben]",
            "1 -ben [ann]",
            "1 +cleo [ann cleo]",
            "1 -ann [cleo]"
        ]
    );

    world.pass(seconds(10));
    let save = world.take();
    assert_eq!(
        (save.callback().status, summary(save.callback())),
        (Status::Save, "2 -cleo [cleo]".to_owned())
    );
    let turns = &save.callback().history.as_ref().unwrap().changes;
    assert_eq!(turns.iter().map(|turn| turn.author.id.as_str()).collect::<Vec<_>>(), ["ann", "ben", "cleo"]);
    save.acked();
    assert_eq!((world.engine.documents(), world.acknowledge_all()), (0, vec![]));
}

#[test]
fn the_readme_shows_the_lines_of_the_same_session_through_the_door() {
    let mut talk = Talk::new(Config::new().edit_limit(Some(2)), Acknowledge::Auto);
    let mut out = Vec::new();
    for line in readme_block("```json session\n").lines() {
        talk.door.line(line.as_bytes(), &mut out);
    }
    talk.door.end(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), readme_block("```json answers\n"));
}

/// Returns the text of the README between the line `begin` and the end of its code block.
fn readme_block(begin: &str) -> &'static str {
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once(begin).expect("the README has the block");
    rest.split_once("```").expect("the block ends").0
}
