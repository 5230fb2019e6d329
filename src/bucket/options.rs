//! Where buckets are, and how they may be asked.

use crate::config::AwsKeys;

/// Endpoints, credentials and limits of all buckets.
#[derive(Debug, Clone, Default)]
pub struct BucketOptions {
    /// Google Cloud Storage endpoint for `gs://` URLs; without it, Google's.
    pub gcs_endpoint: Option<String>,
    /// S3 endpoint for `s3://` URLs; without it, Amazon's.
    pub aws_endpoint: Option<String>,
    /// Region of S3's buckets, if one was configured.
    pub aws_region: Option<String>,
    /// Google credentials were named (`GOOGLE_APPLICATION_CREDENTIALS`): they are used from the first request on.
    pub gcs_credentials: Option<String>,
    /// There are other credentials for a bucket that wants some: gcloud's, or those of a machine of Google's.
    pub gcs_default: bool,
    /// These were meant for another endpoint than Google's too: its metadata server was named (`GCE_METADATA_HOST`).
    pub gcs_default_named: bool,
    /// AWS credentials were named in the environment: they are used from the first request on.
    pub aws_credentials: bool,
    /// Keys of a profile: used where a bucket wants credentials, and none were named in the environment.
    pub aws_keys: Option<AwsKeys>,
    /// This machine is Amazon's, and so has a metadata server that gives credentials.
    pub on_amazon: bool,
    /// Most objects that one model may have, if a limit was configured.
    pub max_objects: Option<u64>,
}
