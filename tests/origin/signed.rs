//! Signed URLs as Google Cloud Storage hands them out: only the very bytes that were signed are accepted.

use std::time::{SystemTime, UNIX_EPOCH};

/// The path and query of a fresh signed URL for object number `id`, and its secret.
pub fn target(id: u64, serial: u64) -> (String, String) {
    let date = timestamp(SystemTime::now());
    let secret = format!("{serial:08x}").repeat(64);
    // Every byte here is legal in a query and stays as it is; a client that decodes and encodes again changes several.
    let odd = "response-content-disposition=attachment%3B+filename%3d%22a~b%2Fc.tar.gz%22&odd='!*(),;:@/?%7e%41&blank=&flag";
    let target = format!(
        "/kaggle-models-data/{id}/{}/bundle/archive.tar.gz?X-Goog-Algorithm=GOOG4-RSA-SHA256\
         &X-Goog-Credential=gcp-kaggle-com%40kaggle-161607.iam.gserviceaccount.com%2F{}%2Fauto%2Fstorage%2Fgoog4_request\
         &X-Goog-Date={date}&X-Goog-Expires=259200&X-Goog-SignedHeaders=host&X-Goog-Signature={secret}&{odd}",
        id + 133,
        &date[..8]
    );
    (target, secret)
}

/// `20251018T133013Z`.
fn timestamp(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap().as_secs();
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
