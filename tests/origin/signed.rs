//! Signed URLs as Google Cloud Storage hands them out: only the very bytes that were signed are accepted, and not for ever.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::object::{self, Object, Surface};
use super::script::{Fault, Hop};
use super::wire::{Reply, Request};
use super::{Found, State};

/// How long Kaggle's URLs live.
const LIFE: u64 = 3 * 24 * 3600;

/// One URL that was handed out.
#[derive(Debug)]
pub struct Signed {
    object: Arc<Object>,
    until: SystemTime,
    expired: bool,
}

/// How a URL is written beyond what is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// As Google writes it.
    Usual,
    /// With needless and lower-case percent signs. Python's requests, with which kagglehub asks, rewrites them and so
    /// does not get through; whoever sends what they were given does.
    Odd,
}

/// A fresh signed URL for an object at this path of the bucket host.
pub fn sign(state: &State, path: &str, object: &Arc<Object>, spelling: Spelling) -> String {
    let serial = state.serial.fetch_add(1, Ordering::SeqCst);
    let (life, age) = object
        .script
        .find(|fault| match fault {
            Fault::Lifetime { seconds, age } => Some((*seconds, *age)),
            _ => None,
        })
        .unwrap_or((LIFE, 0));
    let born = SystemTime::now() - Duration::from_secs(age);
    let secret = format!("{serial:08x}").repeat(64);
    let old = object.script.has(|fault| matches!(fault, Fault::SignedV2));
    let query = if old { v2 } else { v4 }(born, life, &secret);
    let odd = if spelling == Spelling::Odd {
        "%7e%41"
    } else {
        ""
    };
    let target = format!("{path}?{query}{odd}");
    state.secrets.lock().unwrap().push(secret);
    let signed = Signed {
        object: Arc::clone(object),
        until: UNIX_EPOCH + Duration::from_secs(seconds(born) + life),
        expired: false,
    };
    state.signed.lock().unwrap().insert(target.clone(), signed);
    format!("{}{target}", state.url(Hop::Gcs))
}

// Every byte here is legal in a query; a client that decodes and encodes again changes several.
const ODD: &str = "response-content-disposition=attachment%3B+filename%3D%22a~b%2Fc.tar.gz%22&blank=&flag&odd='!*(),;:@/?";

fn v4(born: SystemTime, life: u64, secret: &str) -> String {
    let date = timestamp(born);
    format!(
        "X-Goog-Algorithm=GOOG4-RSA-SHA256\
         &X-Goog-Credential=gcp-kaggle-com%40kaggle-161607.iam.gserviceaccount.com%2F{}%2Fauto%2Fstorage%2Fgoog4_request\
         &X-Goog-Date={date}&X-Goog-Expires={life}&X-Goog-SignedHeaders=host&X-Goog-Signature={secret}&{ODD}",
        &date[..8]
    )
}

fn v2(born: SystemTime, life: u64, secret: &str) -> String {
    let until = seconds(born) + life;
    format!(
        "GoogleAccessId=web-data@kaggle-161607.iam.gserviceaccount.com&Expires={until}&Signature={secret}&{ODD}"
    )
}

/// Answers a request for a signed URL.
pub fn answer(state: &State, request: &Request) -> Found {
    let mut signed = state.signed.lock().unwrap();
    let Some(known) = signed.get_mut(&request.target) else {
        // By path alone, so that a wrong signature is still counted for its object.
        let path = format!("{}?", request.path());
        let object = signed.iter().find(|(target, _)| target.starts_with(&path));
        return (
            refused(),
            object.map(|(_, known)| Arc::clone(&known.object)),
        );
    };
    let object = Arc::clone(&known.object);
    if !request.is_probe() && !known.expired {
        let struck = object.script.strike(|fault| match fault {
            Fault::Expired { times } => Some((times, ())),
            _ => None,
        });
        known.expired = struck.is_some();
    }
    let expired = known.expired || SystemTime::now() >= known.until;
    drop(signed);
    let reply = if expired {
        Reply::xml(400, "ExpiredToken", "The provided token has expired.")
    } else if request.headers.iter().any(|(name, _)| is_foreign(name)) {
        refused()
    } else {
        object.change(request);
        if object.stored().gone {
            Reply::xml(404, "NoSuchKey", "The specified key does not exist.")
        } else {
            object::reply(&object, request, Surface::Xml)
        }
    };
    (reply, Some(object))
}

fn refused() -> Reply {
    Reply::xml(403, "SignatureDoesNotMatch", "Access denied.")
}

/// Headers that break a signature over `host` alone.
fn is_foreign(name: &str) -> bool {
    name.starts_with("x-goog-")
        || matches!(
            name,
            "authorization" | "cookie" | "content-type" | "content-md5"
        )
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// `20251018T133013Z`.
fn timestamp(now: SystemTime) -> String {
    let seconds = seconds(now);
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Days since 1970 as a date of the Gregorian calendar, counted in eras of 400 years that begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[test]
fn a_signed_url_carries_todays_date() {
    assert_eq!(
        timestamp(UNIX_EPOCH + std::time::Duration::from_secs(1_760_794_213)),
        "20251018T133013Z"
    );
    assert_eq!(civil(11_016), (2000, 2, 29));
}
