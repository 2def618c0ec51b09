//! Volumes and instances by name: ids are for programs.

use snapkeep_api::native::volumes::types::{Instances, Volumes};

use crate::client::Client;
use crate::exit::Failure;

/// The id of what is called `given`; an id is taken as it is.
pub async fn id_of(client: &Client, given: &str) -> Result<String, Failure> {
    if given.starts_with("vol-") || given.starts_with("i-") || given.starts_with("ss-") {
        return Ok(given.to_owned());
    }
    let volumes: Volumes = client.get(&["volumes"]).await?;
    let instances: Instances = client.get(&["instances"]).await?;
    let volumes = volumes.volumes.into_iter().map(|it| (it.id, it.name));
    let instances = instances.instances.into_iter().map(|it| (it.id, it.name));
    choose(given, volumes.chain(instances))
}

/// The ids of all that are called as given.
pub async fn ids_of(client: &Client, given: &[String]) -> Result<Vec<String>, Failure> {
    let mut ids = Vec::with_capacity(given.len());
    for name in given {
        ids.push(id_of(client, name).await?);
    }
    Ok(ids)
}

/// Of all ids and names, the one that is meant. What nothing is called may be an id of another kind: the server says that it is missing.
fn choose(given: &str, known: impl Iterator<Item = (String, String)>) -> Result<String, Failure> {
    let ids: Vec<String> = known
        .filter(|(_, name)| name == given)
        .map(|(id, _)| id)
        .collect();
    match ids.as_slice() {
        [] => Ok(given.to_owned()),
        [only] => Ok(only.clone()),
        several => Err(Failure::usage(format!(
            "several are called {given}: {}",
            several.join(", ")
        ))
        .hint("name one of these ids")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_name_means_the_one_that_has_it() {
        let known = || {
            [("vol-A", "db"), ("vol-B", "web"), ("i-C", "web")]
                .map(|(id, name)| (id.to_owned(), name.to_owned()))
                .into_iter()
        };
        assert_eq!(choose("db", known()).unwrap(), "vol-A");
        assert_eq!(choose("nothing", known()).unwrap(), "nothing");
        let failure = choose("web", known()).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("vol-B, i-C"), "{failure}");
    }
}
