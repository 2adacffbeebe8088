//! People: who they are, which organisation they belong to, what they may do.

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature as DalekSignature, VerifyingKey};
use serde::{Deserialize, Serialize, de::Error as _};

use crate::id::{OrgId, PersonId};

/// What a person may do. One person has one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// 公共数据主管部门: signs agreements, enrols people.
    Bureau,
    /// 公共管理和服务机构: registers and ingests data.
    Provider,
    /// 授权运营单位: submits jobs, receives products.
    Operator,
    /// 审核专家: votes on candidates.
    Reviewer,
    /// 网信、公安、审计: reads the ledger, changes nothing.
    Auditor,
}

impl Role {
    /// Every role, in the order of the role matrix.
    pub const ALL: [Self; 5] = [Self::Bureau, Self::Provider, Self::Operator, Self::Reviewer, Self::Auditor];
}

/// A person as the ledger knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Account name.
    pub id: PersonId,
    /// Name for people.
    pub name: String,
    /// The organisation they act for.
    pub org: OrgId,
    /// What they may do.
    pub role: Role,
    /// Checks what they sign.
    pub key: PublicKey,
}

/// An Ed25519 public key (RFC 8032), hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Wraps the 32 bytes of a key.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `signature` is this key's over `message`. Strict: weak keys and
    /// malleable signatures are no.
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .and_then(|key| key.verify_strict(message, &DalekSignature::from_bytes(&signature.0)))
            .is_ok()
    }
}

/// An Ed25519 signature (RFC 8032), hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Wraps the 64 bytes of a signature.
    pub fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }
}

macro_rules! hex_serde {
    ($($name:ident $len:literal)*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), HEXLOWER.encode(&self.0))
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&HEXLOWER.encode(&self.0))
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                let bytes = HEXLOWER.decode(text.as_bytes()).map_err(D::Error::custom)?;
                let bytes: [u8; $len] =
                    bytes.try_into().map_err(|_| D::Error::custom(concat!("want ", $len, " bytes in hex")))?;
                Ok(Self(bytes))
            }
        }
    )*};
}

hex_serde! { PublicKey 32 Signature 64 }
