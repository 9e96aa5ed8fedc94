//! The config of an image for which nobody gave one.

use cache_core::Platform;
use serde::Serialize;

use super::RuntimeConfig;
use crate::error::Result;

/// BuildKit's default search path outside of Windows. Mirrors: BuildKit `util/system.DefaultPathEnvUnix`.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A config for `platform` that says where programs are found and that `/` is the working directory. It lists no layers;
/// [`patch_config`](super::patch_config) adds them. Mirrors: BuildKit `exporter/containerimage/writer.go`,
/// `defaultImageConfig`.
///
/// # Errors
/// None in practice: every platform has a JSON form.
pub fn default_config(platform: &Platform) -> Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Config<'a> {
        #[serde(flatten)]
        platform: &'a Platform,
        config: RuntimeConfig,
    }
    let mut config = RuntimeConfig { working_dir: "/".to_owned(), ..RuntimeConfig::default() };
    if platform.os != "windows" {
        config.env.push(PATH.to_owned());
    }
    Ok(cache_core::json::to_vec(&Config { platform, config })?)
}
