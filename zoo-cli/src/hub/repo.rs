//! Names of repositories and revisions, checked before they become a path or an address.

use std::fmt;
use std::str::FromStr;

use super::HubError;
use crate::data::repository_name;
use crate::package::sums::is_hex;

/// The kind of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepoKind {
    /// A model: `owner/name`.
    Model,
    /// A dataset: `datasets/owner/name` in addresses.
    Dataset,
}

impl RepoKind {
    /// The plural, as in `/api/models` and `models--owner--name`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
        }
    }
}

/// A repository, `owner/name`, as [`repository_name`] allows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RepoId {
    owner: String,
    name: String,
}

impl RepoId {
    /// The user or organisation.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The name without its owner.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory of the cache: `models--owner--name`.
    pub fn folder(&self, kind: RepoKind) -> String {
        format!("{}--{}--{}", kind.plural(), self.owner, self.name)
    }

    /// Parses `owner/name[@revision]`; without a revision it is [`Revision::main`].
    ///
    /// # Errors
    ///
    /// [`HubError::BadRepo`] and [`HubError::BadRevision`].
    pub fn parse_with_revision(text: &str) -> Result<(Self, Revision), HubError> {
        match text.split_once('@') {
            Some((repo, revision)) => Ok((repo.parse()?, revision.parse()?)),
            None => Ok((text.parse()?, Revision::main())),
        }
    }
}

impl FromStr for RepoId {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        match repository_name(text) {
            Some((owner, name)) => Ok(Self {
                owner: owner.to_owned(),
                name: name.to_owned(),
            }),
            None => Err(HubError::BadRepo(text.escape_debug().to_string())),
        }
    }
}

impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// A branch, a tag, `refs/pr/N` or a commit: what git allows in a reference name and a cache can
/// hold as a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision(String);

impl Revision {
    /// The branch `main`.
    pub fn main() -> Self {
        Self("main".to_owned())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a commit (40 lower-case hexadecimal digits), which never moves.
    pub fn is_commit(&self) -> bool {
        is_hex(&self.0, 40)
    }
}

impl FromStr for Revision {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        let valid = text.len() <= 255
            && !text.is_empty()
            && !text
                .contains(|c: char| c.is_control() || c.is_whitespace() || "\\:?*[~^@".contains(c))
            && text
                .split('/')
                .all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.'))
            && !text.contains("..");
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(HubError::BadRevision(text.escape_debug().to_string()))
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a/b", "uoft-cs/cifar10", "me/model_v1.2"] {
            assert_eq!(good.parse::<RepoId>().unwrap().to_string(), good);
        }
        for bad in [
            "", "a", "a/", "/b", "a/b/c", "../b", "a/..", "a/b--c", "a/.b", "a/b.", "a b/c",
            "a/b\0", "a\\b/c", "ä/b",
        ] {
            assert!(bad.parse::<RepoId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn revisions_are_checked() {
        for good in ["main", "v1.0", "refs/pr/3", "feature/x-y"] {
            assert_eq!(good.parse::<Revision>().unwrap().as_str(), good);
        }
        for bad in [
            "", "../x", "a/../b", "/a", "a//b", "a b", "a\\b", "a\0", ".hidden", "a.",
        ] {
            assert!(bad.parse::<Revision>().is_err(), "{bad:?}");
        }
        let (repo, revision) = RepoId::parse_with_revision("a/b@v1").unwrap();
        assert_eq!(
            (repo.to_string().as_str(), revision.as_str()),
            ("a/b", "v1")
        );
        assert!(RepoId::parse_with_revision("a/b@").is_err());
    }
}
