//! Images of containers: publish, export, registry logins. The twin of `model/src/image.rs`.

use std::sync::Arc;

use treenail_engine::Cause;
use treenail_model::{
    Compression, Container, File, Image, ImageFormat, MediaTypes, PushTarget, Secret, Value, registry_host,
};

use super::container::per_call;
use super::secret::check_provider;
use crate::binding::{Binding, Call, Outcome, arguments, field, member};

type This = Arc<Container>;

arguments!(Publish {
    address: String = "address",
    variants: Vec<Arc<Container>> = "platformVariants",
    compression: Option<Compression> = "forcedCompression",
    media_types: MediaTypes = "mediaTypes",
});
arguments!(Export {
    path: String = "path",
    variants: Vec<Arc<Container>> = "platformVariants",
    compression: Option<Compression> = "forcedCompression",
    media_types: MediaTypes = "mediaTypes",
    expand: bool = "expand",
});
arguments!(AsTarball {
    variants: Vec<Arc<Container>> = "platformVariants",
    compression: Option<Compression> = "forcedCompression",
    media_types: MediaTypes = "mediaTypes",
});
arguments!(Import { source: Arc<File> = "source", tag: String = "tag" });
arguments!(Login { address: String = "address", username: String = "username", secret: Arc<Secret> = "secret" });
arguments!(Logout { address: String = "address" });

member!(MediaTypes, "ImageMediaTypes", {
    "OCIMediaTypes" => MediaTypes::Oci,
    "DockerMediaTypes" => MediaTypes::Docker,
});
member!(Compression, "ImageLayerCompression", {
    "Gzip" => Compression::Gzip,
    "Zstd" => Compression::Zstd,
    "EStarGZ" => Compression::EStarGz,
    "Uncompressed" => Compression::Uncompressed,
});

pub(super) fn bindings() -> Vec<Binding> {
    vec![
        field("publish", publish).never_remembered(),
        field("export", export).never_remembered(),
        field("asTarball", as_tarball),
        field("import", import),
        field("withRegistryAuth", login).remembered(per_call),
        field("withoutRegistryAuth", logout).remembered(per_call),
    ]
}

fn image(this: &This, variants: &[This]) -> Result<Image, Cause> {
    Image::new(this, variants).map_err(Cause::invalid)
}

async fn publish(this: This, args: Publish, call: Call) -> Outcome {
    let target = PushTarget::parse(&args.address).map_err(Cause::invalid)?;
    let format = ImageFormat { media_types: args.media_types, compression: args.compression };
    let pinned = call.engine.publish(&image(&this, &args.variants)?, format, &target).await?;
    Ok(Value::text(pinned).into())
}

/// Writes the archive to the client and answers its absolute path.
async fn export(this: This, args: Export, call: Call) -> Outcome {
    let path = if args.expand { this.expand(&args.path).map_err(Cause::invalid)? } else { args.path };
    let destination = call.engine.host().resolve(&path);
    if path.ends_with('/') || destination.is_dir() {
        return Err(Cause::invalid(format!(
            "destination {:?} is a directory; must be a file path unless allowParentDirPath is set",
            destination.to_string_lossy()
        )));
    }
    let format = ImageFormat { media_types: args.media_types, compression: args.compression };
    call.engine.export_archive(&image(&this, &args.variants)?, format, destination.clone()).await?;
    Ok(Value::text(destination.to_string_lossy()).into())
}

/// The archive as a file. Unlike in 0.19.11 it is made at the call, not when the file is needed: a stock daemon hands
/// archives to a client alone.
async fn as_tarball(this: This, args: AsTarball, call: Call) -> Outcome {
    let format = ImageFormat { media_types: args.media_types, compression: args.compression };
    Ok(call.engine.archive_file(&image(&this, &args.variants)?, format).await?.into())
}

async fn import(this: This, args: Import, call: Call) -> Outcome {
    Ok(call.engine.import(&this, &args.source, &args.tag).await?.into())
}

/// Logs the whole session in to a registry; the container is as before.
async fn login(this: This, args: Login, call: Call) -> Outcome {
    let host = registry_host(&args.address).map_err(Cause::invalid)?;
    check_provider(&args.secret)?;
    let password = call.engine.plaintext(&args.secret).await?;
    call.engine.host().log_in(&host, &args.username, &String::from_utf8_lossy(&password));
    Ok((*this).clone().into())
}

async fn logout(this: This, args: Logout, call: Call) -> Outcome {
    let host = registry_host(&args.address).map_err(Cause::invalid)?;
    call.engine.host().log_out(&host);
    Ok((*this).clone().into())
}
