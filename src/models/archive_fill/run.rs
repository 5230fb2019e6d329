//! Who fetches: this process, when it gets the model's lock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::unpack::{self, Order, Unfilled};
use crate::cache::{Begin, Holder, Lead};
use crate::models::Error;
use crate::models::model::{Copy, Event, Fill, FillKind, Filler, Job, Model};
use crate::models::progress::Transfer;
use crate::source::Archive;

/// How often the holder of a model's lock is looked at.
const WAIT: Duration = Duration::from_millis(50);

/// Fills the model from its archive, unless another process does: then it waits for that one.
pub(in crate::models) async fn run(model: Arc<Model>, job: Job, archive: Archive) {
    let mut wait = Wait::new();
    loop {
        // It may delete a broken copy.
        let begun = model.blocking(|model| model.shared().cache.begin(&model.handle().url()));
        let ended = match begun.await {
            Ok(Begin::Sealed(sealed)) => {
                let copy = Copy(Arc::new(sealed));
                return model.feed(Event::Sealed { job, copy });
            }
            Ok(Begin::Lead(lead)) => return fill(model, job, archive, lead).await,
            Ok(Begin::Busy(holder)) => wait.on(&model, job, holder).await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            return model.fail(job, error);
        }
    }
}

/// Fills the model to its end, good or bad.
async fn fill(model: Arc<Model>, job: Job, archive: Archive, lead: Lead) {
    let transfer = Arc::new(Transfer::new(archive.size()));
    let by = Filler::Archive(transfer.clone());
    let filling = lead.filling();
    model.feed(Event::Started {
        job,
        fill: Fill { filling, by },
        kind: FillKind::Archive,
    });
    let order = Order {
        shared: model.shared().clone(),
        handle: model.handle().clone(),
        archive,
        transfer,
    };
    match unpack::run(order, lead).await {
        Ok(sealed) => {
            let copy = Copy(sealed);
            model.feed(Event::Sealed { job, copy });
        }
        Err(Unfilled { error, lead }) => {
            model.fail(job, error);
            // Deletes what was staged, which may be much.
            let _ = tokio::task::spawn_blocking(move || drop(lead)).await;
        }
    }
}

/// The wait for somebody who has a model's lock.
struct Wait {
    seen: Option<Holder>,
    moved: Instant,
}

impl Wait {
    fn new() -> Wait {
        Wait {
            seen: None,
            moved: Instant::now(),
        }
    }

    /// Waits a little, unless nothing has moved for too long.
    async fn on(&mut self, model: &Arc<Model>, job: Job, holder: Holder) -> Result<(), Error> {
        if self.seen.as_ref() != Some(&holder) {
            self.seen = Some(holder.clone());
            self.moved = Instant::now();
            let holder = holder.clone();
            model.feed(Event::Busy { job, holder });
        }
        let after = self.moved.elapsed();
        if after > model.shared().options.timeout {
            return Err(Error::Held {
                handle: model.handle().url(),
                who: holder.who,
                after,
            });
        }
        sleep(WAIT).await;
        Ok(())
    }
}
