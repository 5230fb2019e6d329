//! How the network is reached: hosts, mirrors, buckets, and who is told who asks.

use std::path::PathBuf;

use super::Failure;
use super::args::Hub;
use crate::bucket::{BucketOptions, Buckets};
use crate::config::{
    AwsProfile, BaseUrl, HttpHosts, KaggleCredentials, Mirror, Surroundings, gcs_endpoint,
    verify_certificates,
};
use crate::fetch::{Client, FetchOptions, HostCredential};
use crate::os;

/// What the program calls itself to servers.
const USER_AGENT: &str = concat!("tfhub-fs/", env!("CARGO_PKG_VERSION"));

/// What `gcloud auth application-default login` leaves in a home directory.
const GCLOUD: &str = ".config/gcloud/application_default_credentials.json";

/// Where machines of Google and Amazon learn their credentials, in plain http.
const METADATA: [&str; 3] = [
    "http://metadata.google.internal",
    "http://169.254.169.254",
    "http://169.254.170.2",
];

/// Checked settings of the network.
pub(super) struct Reach {
    pub http_hosts: HttpHosts,
    fetch: FetchOptions,
    buckets: BucketOptions,
}

impl Reach {
    /// Checks what was typed, and reads credentials; nothing is asked.
    pub fn check(
        hub: &Hub,
        base: &BaseUrl,
        timeout: std::time::Duration,
        around: &Surroundings<'_>,
    ) -> Result<Reach, Failure> {
        let kaggle: Option<BaseUrl> = match &hub.kaggle_url {
            Some(typed) => Some(typed.parse().map_err(Failure::usage)?),
            None => None,
        };
        let mut mirrors = Vec::new();
        for typed in &hub.mirror {
            mirrors.push(typed.parse::<Mirror>().map_err(Failure::usage)?);
        }
        mirrors.extend(kaggle.iter().flat_map(Mirror::of_kaggle));
        let buckets = buckets(hub, around)?;
        let endpoints = [&buckets.gcs_endpoint, &buckets.aws_endpoint];
        let configured = std::iter::once(base.as_str())
            .chain(mirrors.iter().map(|mirror| mirror.to.as_str()))
            .chain(endpoints.into_iter().flatten().map(String::as_str));
        let http_hosts = HttpHosts::new(configured, &hub.allow_http).map_err(Failure::usage)?;
        Ok(Reach {
            fetch: FetchOptions {
                timeout,
                verify_certificates: verify_certificates(around),
                offline: hub.offline,
                http_hosts: http_hosts.clone(),
                mirrors,
                credentials: credentials(kaggle.as_ref(), around)?,
                user_agent: USER_AGENT.to_owned(),
            },
            http_hosts,
            buckets,
        })
    }

    /// The client, and the buckets that are reached with it.
    pub fn open(&self) -> Result<(Client, Buckets), Failure> {
        let client = Client::new(self.fetch.clone()).map_err(Failure::failed)?;
        let mut to_metadata = self.fetch.clone();
        let named = std::env::var("GCE_METADATA_HOST").ok();
        let named = named.map(|host| format!("http://{host}"));
        for url in METADATA.into_iter().chain(named.as_deref()) {
            to_metadata.http_hosts.add(url).map_err(Failure::usage)?;
        }
        let asking = Client::new(to_metadata).map_err(Failure::failed)?;
        let buckets = Buckets::new(client.clone(), asking, self.buckets.clone());
        Ok((client, buckets))
    }
}

/// Kaggle's credentials, for Kaggle's hosts alone.
fn credentials(
    kaggle: Option<&BaseUrl>,
    around: &Surroundings<'_>,
) -> Result<Vec<HostCredential>, Failure> {
    let Some(found) = KaggleCredentials::find(around).map_err(Failure::usage)? else {
        return Ok(Vec::new());
    };
    let mut value = http::HeaderValue::from_str(found.authorization()).map_err(Failure::usage)?;
    value.set_sensitive(true);
    let hosts = KaggleCredentials::hosts(kaggle).into_iter();
    let credentials = hosts.map(|authority| HostCredential {
        authority,
        authorization: value.clone(),
    });
    Ok(credentials.collect())
}

fn buckets(hub: &Hub, around: &Surroundings<'_>) -> Result<BucketOptions, Failure> {
    let text = |name: &str| {
        let value = (around.env)(name).filter(|value| !value.is_empty())?;
        Some(value.to_string_lossy().into_owned())
    };
    let gcs = gcs_endpoint(hub.gcs_endpoint.as_deref(), around).map_err(Failure::usage)?;
    let aws = text("AWS_ENDPOINT_URL_S3").or_else(|| text("AWS_ENDPOINT_URL"));
    let aws: Option<BaseUrl> = match aws {
        Some(typed) => Some(typed.parse().map_err(Failure::usage)?),
        None => None,
    };
    let maker = os::host::maker();
    let metadata = text("GCE_METADATA_HOST").is_some();
    let gcloud = text("HOME").map(|home| PathBuf::from(home).join(GCLOUD));
    let profile = AwsProfile::find(around);
    let named = [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    Ok(BucketOptions {
        gcs_endpoint: gcs.map(|url| url.as_str().to_owned()),
        aws_endpoint: aws.map(|url| url.as_str().to_owned()),
        aws_region: text("AWS_REGION")
            .or_else(|| text("AWS_DEFAULT_REGION"))
            .or(profile.region),
        aws_keys: profile.keys,
        gcs_credentials: text("GOOGLE_APPLICATION_CREDENTIALS"),
        aws_credentials: named.into_iter().any(|name| text(name).is_some()),
        gcs_default: maker == "Google" || metadata || gcloud.is_some_and(|file| file.is_file()),
        gcs_default_named: metadata,
        on_amazon: maker == "Amazon EC2",
        max_objects: hub.max_archive_entries,
    })
}
