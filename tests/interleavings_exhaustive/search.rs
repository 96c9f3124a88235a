//! A depth-first search through the schedules of a scenario, as shuttle's own, that can leave out those with many preemptions.
//!
//! A preemption is a switch away from a thread that could go on. Two calls of twenty steps each have 137 billion
//! schedules, but most bugs show with two preemptions, and all schedules with few of them can be tried.

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

/// A place in a schedule at which a thread was chosen.
struct Choice {
    /// The threads that can be chosen there.
    tasks: Vec<TaskId>,
    /// Which of them is chosen now.
    chosen: usize,
    /// The thread that would go on without a preemption.
    current: Option<TaskId>,
    /// The preemptions before.
    preemptions: usize,
}

impl Choice {
    fn task(&self) -> TaskId {
        self.tasks[self.chosen]
    }

    /// The preemptions up to here.
    fn cost(&self) -> usize {
        self.preemptions + usize::from(self.current.is_some_and(|current| current != self.task()))
    }
}

/// Tries every schedule with at most so many preemptions.
pub struct Search {
    most: usize,
    begun: bool,
    choices: Vec<Choice>,
    /// How many choices were made in this schedule.
    step: usize,
}

impl Search {
    pub fn new(most: usize) -> Self {
        Search { most, begun: false, choices: Vec::new(), step: 0 }
    }
}

impl Scheduler for Search {
    fn new_execution(&mut self) -> Option<Schedule> {
        if std::mem::replace(&mut self.begun, true) {
            // The last choice that has another thread left is made anew, and all after it.
            while self.choices.pop_if(|last| last.chosen + 1 == last.tasks.len()).is_some() {}
            self.choices.last_mut()?.chosen += 1;
        }
        self.step = 0;
        Some(Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        if self.step == self.choices.len() {
            let preemptions = self.choices.last().map_or(0, Choice::cost);
            let can_go_on =
                |current: &TaskId| !is_yielding && runnable.iter().any(|task| task.id() == *current);
            let current = current.filter(can_go_on);
            let others = runnable.iter().map(|task| task.id()).filter(|task| Some(*task) != current);
            let others = others.filter(|_| current.is_none() || preemptions < self.most);
            let tasks = current.into_iter().chain(others).collect();
            self.choices.push(Choice { tasks, chosen: 0, current, preemptions });
        }
        let choice = &self.choices[self.step];
        self.step += 1;
        Some(choice.task())
    }

    fn next_u64(&mut self) -> u64 {
        0
    }
}
