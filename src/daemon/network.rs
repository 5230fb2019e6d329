//! How the network is reached: hosts, mirrors, buckets, and which host gets which credentials.

use std::path::PathBuf;

use super::Error;
use crate::bucket::{BucketOptions, Buckets};
use crate::config::{
    AwsProfile, BaseUrl, Env, HttpHosts, KaggleCredentials, Mirror, Settings, verify_certificates,
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
pub(super) struct Network {
    pub(super) http_hosts: HttpHosts,
    fetch: FetchOptions,
    buckets: BucketOptions,
}

impl Network {
    /// Checks settings, and reads credentials; no request is sent.
    pub(super) fn check(settings: &Settings, env: &Env<'_>) -> Result<Network, Error> {
        let kaggle = settings.kaggle_url.as_ref();
        let mut mirrors = settings.mirrors.clone();
        mirrors.extend(kaggle.into_iter().flat_map(Mirror::of_kaggle));
        let buckets = bucket_options(settings, env)?;
        let endpoints = [&buckets.gcs_endpoint, &buckets.aws_endpoint];
        let configured = std::iter::once(settings.hub_url.as_str())
            .chain(mirrors.iter().map(|mirror| mirror.to.as_str()))
            .chain(endpoints.into_iter().flatten().map(String::as_str));
        let http_hosts = HttpHosts::new(configured, &settings.allow_http)?;
        Ok(Network {
            fetch: FetchOptions {
                timeout: settings.timeout,
                verify_certificates: verify_certificates(env),
                offline: settings.offline,
                http_hosts: http_hosts.clone(),
                mirrors,
                credentials: credentials(kaggle, env)?,
                user_agent: USER_AGENT.to_owned(),
            },
            http_hosts,
            buckets,
        })
    }

    /// The client, and the buckets that are reached with it.
    pub(super) fn open(&self) -> Result<(Client, Buckets), Error> {
        let client = Client::new(self.fetch.clone())?;
        let mut to_metadata = self.fetch.clone();
        let named = std::env::var("GCE_METADATA_HOST").ok();
        let named = named.map(|host| format!("http://{host}"));
        for url in METADATA.into_iter().chain(named.as_deref()) {
            to_metadata.http_hosts.add(url)?;
        }
        let metadata = Client::new(to_metadata)?;
        let buckets = Buckets::new(client.clone(), metadata, self.buckets.clone());
        Ok((client, buckets))
    }
}

/// Kaggle's credentials, for Kaggle's hosts alone.
fn credentials(kaggle: Option<&BaseUrl>, env: &Env<'_>) -> Result<Vec<HostCredential>, Error> {
    let Some(found) = KaggleCredentials::find(env)? else {
        return Ok(Vec::new());
    };
    let value = http::HeaderValue::from_str(found.authorization());
    let mut value = value.map_err(|error| Error::Setting(error.to_string()))?;
    value.set_sensitive(true);
    let hosts = KaggleCredentials::hosts(kaggle).into_iter();
    let credentials = hosts.map(|authority| HostCredential {
        authority,
        authorization: value.clone(),
    });
    Ok(credentials.collect())
}

fn bucket_options(settings: &Settings, env: &Env<'_>) -> Result<BucketOptions, Error> {
    let text = |name: &str| Some(env.var(name)?.to_string_lossy().into_owned());
    let gcs = settings.gcs_endpoint.as_ref();
    let aws = text("AWS_ENDPOINT_URL_S3").or_else(|| text("AWS_ENDPOINT_URL"));
    let aws: Option<BaseUrl> = aws.map(|typed| typed.parse()).transpose()?;
    let maker = os::host::maker();
    let metadata = text("GCE_METADATA_HOST").is_some();
    let gcloud = text("HOME").map(|home| PathBuf::from(home).join(GCLOUD));
    let profile = AwsProfile::find(env);
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
        max_objects: settings.max_archive_entries,
    })
}
