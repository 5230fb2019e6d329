//! Whether all of a model will fit on the disk, and what would do if not.

use super::budget::DiskBudget;
use super::evict;
use super::turns::{Remedy, Shortage};

impl DiskBudget {
    /// Why a model of `needs` bytes does not fit beside what cannot leave, if all of it is to come with `together` bytes of
    /// all that are to come whole.
    pub(super) fn shortage(&self, used: u64, needs: u64, together: u64) -> Option<Shortage> {
        self.look();
        let here = self.complete().saturating_add(self.staged());
        let whole = self.whole(used);
        let over = here.saturating_add(together).saturating_sub(whole.allowed);
        let leaving = self.evictable(over);
        if leaving >= over {
            return None;
        }
        let stays = here.saturating_sub(leaving);
        let would_do = stays.saturating_add(together);
        let others = together.saturating_sub(needs);
        Some(Shortage {
            needs,
            has: whole.allowed.saturating_sub(stays).saturating_sub(others),
            remedy: match whole.allowed == self.cap(whole.disk) {
                true => Remedy::CacheSize(would_do),
                false => Remedy::Disk(would_do.saturating_sub(whole.allowed)),
            },
        })
    }

    /// How many bytes of complete models would leave now if so many were wanted: fewer if others are in use.
    fn evictable(&self, want: u64) -> u64 {
        let mut sum: u64 = 0;
        for row in self.candidates() {
            if sum >= want {
                break;
            }
            if !evict::find_use(&self.layout, &row.key).unwrap_or(true) {
                sum = sum.saturating_add(row.bytes);
            }
        }
        sum
    }
}
