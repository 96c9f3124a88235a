//! Simulates a day for the picture: opens at random times run through a real engine.

mod office;
mod profile;
mod random;
mod visitors;

use std::io;

use coedit::Timestamp;

use super::course::Course;
use crate::failure::bad_argument;

use office::Office;
pub(crate) use visitors::{Group, OpenCount, Visitors};

use profile::{BUSIEST_AT, MINUTES, Minute, level_at, minutes};
use visitors::after;

/// A simulated working day, and a longer run in which every hour is the busiest.
pub(crate) struct SimulatedDay {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) course: Course,
    pub(crate) busiest_run: OpenCount,
}

/// The highest load that is simulated, in erlangs.
const LOAD_MAX: f64 = 20_000.0;
/// A day with more opens is shorter. It then ends and begins near its busiest time.
const DAY_OPENS: f64 = 1_000_000.0;
/// The number of opens of the longer run, after its warm-up.
const BUSIEST_RUN_OPENS: u32 = 50_000;
/// The length of the warm-up, in mean stays. After it, the empty start affects 1 connection in 20,000.
const WARM_UP: f64 = 10.0;
/// 2024-01-01T00:00:00Z. The picture shows only the time of day.
const MIDNIGHT: Timestamp = Timestamp::from_millis(1_704_067_200_000);

impl SimulatedDay {
    /// Runs the simulation. Returns an error if the load is too high.
    pub(crate) fn simulate(visitors: Visitors, limit: u32) -> io::Result<Self> {
        if visitors.load > LOAD_MAX {
            return Err(bad_argument(format!("--svg draws a day with a load of at most {LOAD_MAX}")));
        }
        let length = f64::from(MINUTES).min(DAY_OPENS * visitors.stay / visitors.load);
        let from = (BUSIEST_AT - length / 2.0).clamp(0.0, f64::from(MINUTES) - length);
        let start = after(MIDNIGHT, from);
        let mut office = Office::new(visitors, limit, start)?;
        let mut course = Course::new(limit, 0, start);
        office.fill(level_at(from), &mut course)?;
        for (minute, number) in minutes(visitors.stay).into_iter().zip(1_u16..) {
            let until = (f64::from(number) - from).min(length);
            office.run((until, u32::MAX), minute, Some(&mut course))?;
        }
        let end = after(start, length);
        course.extend(end);
        Ok(SimulatedDay { start, end, course, busiest_run: busiest_run(visitors, limit)? })
    }
}

/// Runs hours that are all the busiest. Only the load matters to the result, not the length of the stays. They are so short
/// that the run takes about a day, because the engine keeps figures of each day.
fn busiest_run(visitors: Visitors, limit: u32) -> io::Result<OpenCount> {
    let stay = f64::from(MINUTES) * visitors.load / f64::from(BUSIEST_RUN_OPENS);
    let visitors = Visitors { stay, ..visitors };
    let mut office = Office::new(visitors, limit, MIDNIGHT)?;
    office.run((WARM_UP * stay, u32::MAX), Minute::BUSIEST, None)?;
    office.count = OpenCount::default();
    office.run((f64::INFINITY, BUSIEST_RUN_OPENS), Minute::BUSIEST, None)?;
    Ok(office.count)
}

#[cfg(test)]
mod tests {
    use coedit::capacity::{engset_staying, erlang_b};

    use super::*;

    const GROUP: Group = Group { users: 40, documents: 60 };

    #[test]
    fn the_engine_agrees_with_the_formulas() {
        let (load, stay) = (30.0, 30.0);
        let group = busiest_run(Visitors { load, stay, group: Some(GROUP) }, 30).unwrap().share();
        let crowd = busiest_run(Visitors { load, stay, group: None }, 30).unwrap().share();
        let (staying, erlang) = (engset_staying(60, 0.5, 30).unwrap(), erlang_b(load, 30).unwrap());
        assert!((group / staying - 1.0).abs() < 0.1, "{group} {staying}");
        assert!((crowd / erlang - 1.0).abs() < 0.1, "{crowd} {erlang}");
    }

    #[test]
    fn the_recording_agrees_with_the_engine_and_the_size_of_the_group() {
        let visitors = Visitors { load: 60.0, stay: 30.0, group: Some(GROUP) };
        let mut day = SimulatedDay::simulate(visitors, 45).unwrap();
        let (all, view_only) = (&day.course.all, &day.course.view_only);
        assert_eq!(view_only.opens(), all.fallbacks(45));
        assert_eq!(view_only.peak(), all.under(45).view_only_peak);
        assert_eq!((all.peak().map(|(peak, _)| peak), all.users()), (Some(60), 40));
        let highest = day.course.steps().iter().map(|step| step.view_only).max();
        assert_eq!(highest, Some(15));
        assert_eq!(day.end.since(day.start).as_secs(), 24 * 3_600);
    }
}
