//! Names of a remote.

use std::sync::Arc;

use crate::conformance::fetch::FetchSubject;
use crate::conformance::require::{require_equal, require_some};
use crate::conformance::{Outcome, Unmet};
use crate::descriptor::Descriptor;
use crate::ports::Resolver;

impl FetchSubject {
    fn names(&self) -> Result<(&Arc<dyn Resolver>, &[(String, Descriptor)]), Unmet> {
        let (resolver, names) = self.names.as_ref().ok_or(Unmet::needs("a remote with names"))?;
        Ok((resolver, names))
    }
}

/// A name gives what it stands for: its digest, size and media type.
pub async fn a_name_gives_its_descriptor(subject: FetchSubject) -> Outcome {
    let (resolver, names) = subject.names()?;
    for (name, wanted) in names {
        let found = require_some(resolver.resolve(name).await?, "a name of the remote resolves")?;
        require_equal(&found.digest, &wanted.digest, "a name gives its digest")?;
        require_equal(&found.size, &wanted.size, "a name gives its size")?;
        require_equal(&found.media_type, &wanted.media_type, "a name gives its media type")?;
    }
    Ok(())
}

/// A name that the remote does not have is `None`, not an error.
pub async fn an_unknown_name_is_none(subject: FetchSubject) -> Outcome {
    let (resolver, names) = subject.names()?;
    for (name, _) in names {
        let unknown = format!("{name}-that-nobody-made");
        require_equal(&resolver.resolve(&unknown).await?, &None, "an unknown name is none")?;
    }
    Ok(())
}
