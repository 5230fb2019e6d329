//! Random operations on a cache beside a model of it that is nothing but a table: who is here, who has left, and who must
//! leave next.
//!
//! Two caches on one directory stand for two processes. Uses have a clock of their own, so that nothing depends on how fast
//! the test runs. `TFHUB_FS_TEST_CASES` makes it longer.

mod steps;
mod world;

use proptest::prelude::*;

use super::*;
use world::{MODELS, World};

/// One thing that happens; the first number is the model, the last whose cache it happens in.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Fill(usize, usize),
    Abandon(usize, usize),
    /// `kill -9` in the middle of filling.
    Crash(usize, usize),
    Use(usize, usize),
    Pin(usize, bool, usize),
    /// Somebody opens a file of it, or closes it.
    Hold(usize, bool),
    Remove(usize, bool, usize),
    /// tensorflow_hub puts it there.
    Foreign(usize),
    Damage(usize, Harm),
    Verify(usize, usize),
    Tidy(usize),
    Restart(usize),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Harm {
    Delete,
    Cut,
    Add,
    Flip,
}

fn step() -> impl Strategy<Value = Step> {
    let (model, by) = (0..MODELS, 0..2_usize);
    let harm = prop_oneof![
        Just(Harm::Delete),
        Just(Harm::Cut),
        Just(Harm::Add),
        Just(Harm::Flip)
    ];
    prop_oneof![
        8 => (model.clone(), by.clone()).prop_map(|(model, by)| Step::Fill(model, by)),
        1 => (model.clone(), by.clone()).prop_map(|(model, by)| Step::Abandon(model, by)),
        1 => (model.clone(), by.clone()).prop_map(|(model, by)| Step::Crash(model, by)),
        3 => (model.clone(), by.clone()).prop_map(|(model, by)| Step::Use(model, by)),
        2 => (model.clone(), any::<bool>(), by.clone()).prop_map(|(m, pin, by)| Step::Pin(m, pin, by)),
        3 => (model.clone(), any::<bool>()).prop_map(|(model, hold)| Step::Hold(model, hold)),
        1 => (model.clone(), any::<bool>(), by.clone()).prop_map(|(m, f, by)| Step::Remove(m, f, by)),
        2 => model.clone().prop_map(Step::Foreign),
        2 => (model.clone(), harm).prop_map(|(model, harm)| Step::Damage(model, harm)),
        1 => (model, by.clone()).prop_map(|(model, by)| Step::Verify(model, by)),
        1 => by.clone().prop_map(Step::Tidy),
        1 => by.prop_map(Step::Restart),
    ]
}

fn cases() -> u32 {
    let more = std::env::var("TFHUB_FS_TEST_CASES").ok();
    more.and_then(|text| text.parse().ok()).unwrap_or(64)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cache_is_what_its_table_says(
        evict_foreign in any::<bool>(),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut world = World::new(evict_foreign);
        for step in &steps {
            world.take(step);
            world.check();
        }
    }
}
