//! What `coedit plan` can be asked of users, and what it answers.
#![cfg(feature = "cli")]

#[path = "support/planning.rs"]
mod planning;

use coedit::capacity::{connections_for, engset_staying, erlang_b, group_for, users_for};
use planning::{answer, assert_contains, assert_refused, coedit, fortnight, json_of, office, table_of, text};
use serde_json::Value;

#[test]
fn shares_are_written_as_numbers_in_percent_or_as_fractions() {
    let third = json_of(&office(&["--concurrent", "1/3"]), "");
    assert_eq!(answer(&third, "erlang-b"), 371);
    let percent = json_of(&office(&["--concurrent", "33%", "--share", "2%"]), "");
    assert_eq!(percent, json_of(&office(&["--concurrent", "0.33", "--share", "1/50"]), ""));
    for wrong in
        ["", "x", "1/0", "0/1", "2/1", "-1/3", "101%", "%", "1/2/3", "33 %%", "0.3..", "..", "0.4..0.3"]
    {
        assert_refused(&["--users", "5", &format!("--concurrent={wrong}")], "--concurrent");
    }
    for wrong in ["100%", "1/1", "0%", "0.01,", "0.01,1"] {
        assert_refused(&["--users", "5", "--share", wrong], "--share");
    }
}

#[test]
fn a_range_of_users_at_work_gives_a_range_of_connections() {
    let plan = json_of(&office(&["--concurrent", "30%..36%"]), "");
    assert_eq!((&plan["range"]["low"], &plan["range"]["high"]), (&0.3.into(), &0.36.into()));
    let erlang = serde_json::json!({"by": "erlang-b", "low": 336, "high": 400});
    assert_eq!(plan["range"]["answers"][0], erlang);
    assert_eq!(answer(&plan, "erlang-b"), 400, "the rest is for the highest share");
    let table = table_of(&office(&["--concurrent", "30%..36%"]), "");
    assert_contains(&table, &["30 % to 36 % of the users need 336 to 400 by Erlang B, 334 to 397 by Engset"]);
    assert!(json_of(&office(&["--concurrent", "0.3..0.3"]), "").get("range").is_none());
}

#[test]
fn several_targets_and_limits_are_answered_at_once() {
    let several =
        office(&["--concurrent", "1/3", "--share", "1%,0.1%", "--share", "5%", "--limit", "300,350"]);
    let plan = json_of(&several, "");
    let load = plan["load"].as_f64().unwrap();
    assert_eq!(plan["target"], 0.01, "the first");
    let targets = plan["targets"].as_array().unwrap();
    for (target, share) in targets.iter().zip([0.01, 0.001, 0.05]) {
        assert_eq!(target["target"], share);
        let erlang =
            serde_json::json!({"by": "erlang-b", "connections": connections_for(load, share).unwrap()});
        assert_eq!(target["answers"][0], erlang);
    }
    assert_eq!(targets.len(), 3);
    let answers = plan["answers"].as_array().unwrap().iter();
    let given: Vec<&Value> = answers.filter(|answer| answer["by"] == "limit").collect();
    assert_eq!((&given[0]["connections"], &given[1]["connections"]), (&300.into(), &350.into()));
    let table = table_of(&several, "");
    assert_contains(&table, &["for 0.10 %", "for 5 %"]);
}

#[test]
fn viewers_who_stay_have_a_column_and_an_answer() {
    let asked = office(&["--concurrent", "1/3", "--limit", "200"]);
    let plan = json_of(&asked, "");
    assert_eq!(plan["staying"]["connections"], 367);
    let answers = plan["answers"].as_array().unwrap();
    let at_200 = answers.iter().find(|answer| answer["by"] == "limit").unwrap();
    let share = |member: &str| at_200[member].as_f64().unwrap();
    assert!((share("engset") - 0.526).abs() < 0.001, "who is refused leaves");
    assert!((share("engset_staying") - 0.427).abs() < 0.001, "who is refused stays");
    let exact = engset_staying(1_040, 1.0 / 3.0, 200).unwrap();
    assert!((share("engset_staying") - exact).abs() < 1e-9);
    let table = table_of(&asked, "");
    assert_contains(
        &table,
        &[
            "200 42.69 % 1 in 2.3 52.64 % 1 in 1.9 42.68 % 1 in 2.3 the given limit",
            "enough if viewers stay",
            "Load: how many connections are open on average in the busiest hour, if none is refused.",
            "--concurrent: the share of the users at work in the busiest hour",
        ],
    );
    let large = json_of(&["--users", "100000", "--concurrent", "0.1"], "");
    assert!(large.get("staying").is_none());
    let large = table_of(&["--users", "100000", "--concurrent", "0.1"], "");
    assert_contains(&large, &["Viewers who stay are left out: for a load above 1,000 this takes long."]);
}

#[test]
fn the_plan_says_what_makes_more_connections_necessary() {
    let plan = json_of(&office(&["--concurrent", "1/3"]), "");
    let expected = serde_json::json!([
        {"if": "tabs-open-together", "connections": 376},
        {"if": "refused-come-back", "connections": 375},
        {"if": "refused-ask-again", "connections": 383},
        {"if": "days-vary", "connections": 399},
    ]);
    assert_eq!(plan["cautions"], expected);
    // The longer a stay, the more often a refused user asks.
    let load_of = |opens: &str, stay: &str| json_of(&["--opens-per-hour", opens, "--stay", stay], "");
    let (short, long) = (load_of("240", "5"), load_of("10", "120"));
    assert_eq!(short["load"], long["load"]);
    assert!(short["cautions"][2]["connections"].as_u64() < long["cautions"][2]["connections"].as_u64());
    let table = table_of(&["--users", "20", "--stay", "40"], "");
    assert_contains(&table, &["if refused users ask again every two minutes, in a stay of 40 minutes"]);
    let hopeless = json_of(&["--users", "5", "--share", "0.9999999"], "");
    assert_eq!(hopeless["cautions"].as_array().unwrap().len(), 3, "nobody comes back so often");
    assert!(json_of(&["--users", "8000000"], "").get("cautions").is_none(), "that would take long");
}

#[test]
fn a_number_of_connections_is_enough_for_so_many_users() {
    let asked = ["--connections", "200", "--docs-per-user", "1.3", "--concurrent", "1/3"];
    let found = json_of(&asked, "");
    let users = found["users"].as_array().unwrap();
    assert_eq!((users.len(), &users[0]["erlang_b"]), (1, &414.into()));
    assert_eq!(users[0]["engset"], 420, "a group of 547");
    // One user more needs one connection more.
    for (member, by) in [("erlang_b", "erlang-b"), ("engset", "engset")] {
        let enough = users[0][member].as_u64().unwrap();
        let needed = |users: u64| {
            let users = users.to_string();
            let asked = ["--users", &users, "--docs-per-user", "1.3", "--concurrent", "1/3"];
            answer(&json_of(&asked, ""), by)
        };
        assert!(needed(enough) <= 200 && needed(enough + 1) > 200, "{by}");
    }
    let several = ["--connections", "200", "--concurrent", "30%..36%", "--share", "1%,0.1%"];
    let found = json_of(&several, "");
    let erlang: Vec<u64> =
        found["users"].as_array().unwrap().iter().map(|case| case["erlang_b"].as_u64().unwrap()).collect();
    let expected = [(0.3, 0.01), (0.36, 0.01), (0.3, 0.001), (0.36, 0.001)];
    assert_eq!(erlang, expected.map(|(load, share)| u64::from(users_for(200, load, share).unwrap())));
    assert_eq!(found["users"][1]["engset"], group_for(200, 0.36, 0.01).unwrap());
    assert_contains(&table_of(&asked, ""), &["target at work Erlang B Engset 1 % 33.33 % 414 420"]);
    assert_refused(&["--connections", "200", "--users", "5"], "cannot be used");
    assert_refused(&["--connections", "200", "--limit", "5"], "cannot be used");
}

#[test]
fn several_servers_need_more_connections_than_one() {
    let plan = json_of(&office(&["--concurrent", "1/3", "--servers", "2"]), "");
    let expected = serde_json::json!({"servers": 2, "answers": [
        {"by": "erlang-b", "each": 194, "together": 388, "one": 371},
        {"by": "engset", "each": 191, "together": 382, "one": 369},
    ]});
    assert_eq!(plan["servers"], expected);
    let table = table_of(&office(&["--concurrent", "1/3", "--servers", "2"]), "");
    assert_contains(
        &table,
        &["2 servers each needs 194, together 388 where one server needs 371, by Erlang B"],
    );
}

#[test]
fn a_class_needs_a_connection_for_each_user() {
    for class in ["400@09:00/45m", "400@09:37/45m", "400@23:50/1h30m"] {
        let found = json_of(&["--burst", class, "--limit", "380,400"], "");
        assert_eq!((&found["connections"], &found["bursts"][0]), (&400.into(), &class.into()));
        assert_eq!(found["at"], class[4..9]);
        let under = found["under"].as_array().unwrap();
        let refused: Vec<&Value> = under.iter().map(|under| &under["refused"]).collect();
        assert_eq!(refused, [20, 0]);
    }
    let day = ["--burst", "400@09:00/45m,150@09:45/45m", "--burst", "300@10:00/1h", "--limit", "440"];
    let found = json_of(&day, "");
    assert_eq!(
        (&found["connections"], &found["at"]),
        (&450.into(), &"10:00".into()),
        "400, then 150, then 450"
    );
    let table = table_of(&day, "");
    assert_contains(
        &table,
        &[
            "850 users in all",
            "450 connections are enough for all, from 10:00 on",
            "under 440 10 of 850 users are refused, 1.18 %, for 60 minutes",
        ],
    );
    assert_refused(&["--burst", "400@9/45"], "a burst must be like 400@09:00/45m");
    assert_refused(&["--burst", "0@09:00/45m"], "there is no user in the timetable");
    assert_refused(&["--burst", "5@09:00/45m", "--users", "5"], "cannot be used");
}

#[test]
fn growth_gives_the_month_in_which_each_limit_is_too_low() {
    let asked = office(&["--concurrent", "1/3", "--growth", "4%", "--months", "24", "--limit", "200,500"]);
    let plan = json_of(&asked, "");
    let load = plan["load"].as_f64().unwrap();
    let answers = plan["growth"]["answers"].as_array().unwrap();
    assert_eq!(answers.len(), plan["answers"].as_array().unwrap().len());
    for answer in answers.iter().filter(|answer| answer["by"] == "erlang-b") {
        let connections = u32::try_from(answer["connections"].as_u64().unwrap()).unwrap();
        let too_low = |month: &i32| erlang_b(load * 1.04_f64.powi(*month), connections).unwrap() > 0.01;
        let month = (0..=24).find(too_low).map_or(Value::Null, Value::from);
        assert_eq!(answer["month"], month, "{connections}");
    }
    let month = |connections: u32| {
        let found = answers.iter().find(|answer| answer["connections"] == connections).unwrap();
        found["month"].clone()
    };
    assert_eq!((month(200), month(371), month(369)), (0.into(), 1.into(), 1.into()));
    assert_eq!(month(1_600), Value::Null);
    let table = table_of(&asked, "");
    assert_contains(
        &table,
        &["200 (the given limit): too few now", "1600 (thumb, all at work): enough for 24 months"],
    );
    assert_refused(&["--users", "5", "--growth", "0"], "a growth above 0");
}

#[test]
fn prices_give_the_number_of_users_from_which_connections_cost_less() {
    let asked = office(&["--concurrent", "1/3", "--price-connection", "20", "--price-user", "10"]);
    let plan = json_of(&asked, "");
    let prices = &plan["prices"];
    assert_eq!(
        prices["answers"][0],
        serde_json::json!({"answer": "erlang-b", "connections": 371, "cost": 7420.0})
    );
    assert_eq!(
        (&prices["named_users"]["users"], &prices["named_users"]["cost"]),
        (&800.into(), &8000.0.into())
    );
    let break_even = u32::try_from(prices["named_users"]["break_even"].as_u64().unwrap()).unwrap();
    let cheaper = |users: u32| {
        let connections = connections_for(f64::from(users) * 1.3 / 3.0, 0.01).unwrap();
        f64::from(connections) * 20.0 <= f64::from(users) * 10.0
    };
    assert!(!cheaper(break_even - 1) && (break_even..1_500).all(cheaper), "{break_even}");
    let table = table_of(&asked, "");
    assert_contains(
        &table,
        &[
            "371 connections (Erlang B): 7420.00",
            "800 named users: 8000.00",
            &format!("from {break_even} users on"),
        ],
    );
    // Nearly half a connection for each user, at three times the price of a user.
    let never = office(&["--concurrent", "1/3", "--price-connection", "30", "--price-user", "10"]);
    assert_eq!(json_of(&never, "")["prices"]["named_users"]["break_even"], Value::Null);
    assert!(json_of(&office(&["--price-connection", "5"]), "")["prices"].get("named_users").is_none());
    assert_refused(&["--users", "5", "--price-user", "1"], "--price-connection");
}

/// Every member at the top of the JSON objects.
#[test]
fn the_help_shows_three_questions_and_names_every_member() {
    let output = coedit(&["plan", "--help"], "");
    let help = text(&output.stdout);
    for question in ["How many connections for N users?", "What does my log say?", "What if I buy only M?"] {
        assert!(help.contains(question), "{question}");
    }
    let all = office(&[
        "--concurrent=0.3..0.36",
        "--share=1%,2%",
        "--limit=200",
        "--servers=2",
        "--growth=4%",
        "--price-connection=2",
        "--price-user=1",
    ]);
    let plan = json_of(&all, "");
    let trace = json_of(&["--trace", "-", "--limit", "30", "--idle", "20"], &fortnight());
    let members = [&plan, &trace].map(|plan| plan.as_object().unwrap().keys().cloned().collect::<Vec<_>>());
    for member in members.concat() {
        let named = help
            .lines()
            .any(|line| line.trim().starts_with(&member) || line.contains(&format!(", {member}  ")));
        assert!(named, "{member} in {help}");
    }
}
