//! The certificates of a lab: one authority, the API server, and a client for each component.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};

use crate::error::{Error, Result};

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// The authority that signs everything in one lab.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new authority, with a new key.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name("bellwether-lab", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let key = KeyPair::generate().map_err(unusable)?;
        CertifiedIssuer::self_signed(params, key)
            .map(Self)
            .map_err(unusable)
    }

    /// The authority's own certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A certificate for the API server, valid for `names` (host names and addresses).
    pub fn server(&self, names: &[&str]) -> Result<Pair> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name("kube-apiserver", None);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = names
            .iter()
            .map(|&text| match text.parse() {
                Ok(address) => Ok(SanType::IpAddress(address)),
                Err(_) => text.try_into().map(SanType::DnsName),
            })
            .collect::<Result<_, _>>()
            .map_err(unusable)?;
        self.sign(&params)
    }

    /// A certificate for a client: `user` in the group `group`, as RBAC sees it.
    pub fn client(&self, user: &str, group: Option<&str>) -> Result<Pair> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(user, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Pair> {
        let key = KeyPair::generate().map_err(unusable)?;
        let certificate = params.signed_by(&key, &self.0).map_err(unusable)?;
        Ok(Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// The key pair that signs the tokens of `ServiceAccount`s: private and public, as PEM.
pub fn signing_key() -> Result<(String, String)> {
    let key = KeyPair::generate().map_err(unusable)?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

fn name(common: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name
}

fn unusable(error: impl std::fmt::Display) -> Error {
    Error::Unexpected(format!("a certificate cannot be made: {error}"))
}
