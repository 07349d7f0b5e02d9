//! The cluster as it is now, in the same state that the controller decides with: for commands that
//! ask and change nothing.

use std::fmt::Debug;
use std::time::Duration;

use bellwether_core::moment::Moment;
use bellwether_daemon::call::{CallError, with_timeout};
use bellwether_daemon::watch::{Event, Key};
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use crate::state::{Input, Settings, State};

/// How long one list may take: there may be ten thousand objects.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A kind that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{kind} cannot be read: {error}{fix}")]
pub struct Unreadable {
    kind: String,
    error: CallError,
    fix: &'static str,
}

impl Unreadable {
    fn of<K: Resource<DynamicType = ()>>(error: CallError) -> Self {
        let fix = match error {
            CallError::NotFound(_) => "; install Bellwether first (docs/install.md)",
            CallError::Forbidden(_) => "; this command needs the permissions of the controller",
            _ => "",
        };
        Self {
            kind: K::plural(&()).into_owned(),
            error,
            fix,
        }
    }
}

/// Lists everything that decisions depend on, and decides as a controller would that starts now.
///
/// # Errors
///
/// If a list cannot be read: what is not known cannot be decided on.
pub async fn state(client: &Client, settings: Settings) -> Result<State, Unreadable> {
    let now = Moment::ORIGIN;
    let mut state = State::new(settings, 0).at(now, Timestamp::now());
    let inputs = [
        Input::Pool(list(client).await?),
        Input::Advertisement(list(client).await?),
        Input::Announcement(list(client).await?),
        Input::Speaker(list(client).await?),
        Input::Namespace(list(client).await?),
        Input::Node(list(client).await?),
        Input::Slice(list(client).await?),
        Input::Service(list(client).await?),
    ];
    for input in inputs {
        state.handle(input, now);
    }
    Ok(state)
}

async fn list<K, T>(client: &Client) -> Result<Event<T>, Unreadable>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    T: Facts<Object = K> + From<K>,
{
    let api: Api<DeserializeGuard<K>> = Api::all(client.clone());
    let listed = with_timeout(TIMEOUT, api.list(&ListParams::default())).await;
    let listed = listed.map_err(Unreadable::of::<K>)?;
    let mut objects = Vec::new();
    let mut undecodable = Vec::new();
    for object in listed.items {
        let key = Key::of(&object);
        match object.0 {
            Ok(object) => objects.push(T::from(object)),
            Err(_) => undecodable.push(key),
        }
    }
    Ok(Event::Listed {
        objects,
        undecodable,
    })
}

/// What is kept of an object of the API.
trait Facts {
    /// Of which kind it is.
    type Object;
}

macro_rules! facts_of {
    ($($facts:path => $object:path),* $(,)?) => {
        $(impl Facts for $facts {
            type Object = $object;
        })*
    };
}

facts_of! {
    crate::facts::PoolFacts => bellwether_crds::IPAddressPool,
    crate::facts::AdvertisementFacts => bellwether_crds::L2Advertisement,
    crate::facts::AnnouncementFacts => bellwether_crds::Announcement,
    crate::facts::SpeakerFacts => bellwether_crds::Speaker,
    crate::facts::NamespaceFacts => k8s_openapi::api::core::v1::Namespace,
    crate::facts::NodeFacts => k8s_openapi::api::core::v1::Node,
    crate::facts::SliceFacts => k8s_openapi::api::discovery::v1::EndpointSlice,
    crate::facts::ServiceFacts => k8s_openapi::api::core::v1::Service,
}
