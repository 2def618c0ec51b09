//! The command line: what commands there are. Each command's flags stand beside its code in [`commands`](crate::commands).

use clap::{Parser, Subcommand};

use crate::client::ConnectArgs;
use crate::commands::{
    audit, check, completions, config, credential, instance, job, key, mount, policy, prune, repo,
    restore, snapshot, volume,
};
use crate::demo::DemoArgs;
use crate::serve::ServeArgs;

/// Snapshots of search indices, vector collections and disks in restic repositories.
///
/// A server (`snapkeep serve`) speaks the snapshot APIs of Elasticsearch, OpenSearch, Weaviate, Huawei CSS, Alibaba and 51idc. The other
/// commands drive it, or, with --data-dir and no server running, do the same work themselves.
#[derive(Debug, Parser)]
#[command(name = "snapkeep", version, propagate_version = true, max_term_width = 110, after_help = AFTER_HELP, arg_required_else_help = true)]
pub struct Cli {
    /// Connection, settings and output.
    #[command(flatten)]
    pub connect: ConnectArgs,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  snapkeep demo                                        See it work, on data of its own
  snapkeep serve --data-dir /var/lib/snapkeep          Serve on 127.0.0.1:9250
  snapkeep repo add my_backup --location my_backup     Register a repository
  snapkeep snapshot create my_backup nightly-1         Take a snapshot of all indices
  snapkeep restore my_backup nightly-1                 Bring them back
  snapkeep volume snapshot vol-abc1234                 Take a snapshot of a disk
  snapkeep policy add nightly --repository my_backup --daily 01:30 --max-age 30d

Exit codes:
    0  done                                      4  damage found
    1  failed                                    5  no such repository, snapshot, volume, policy or job
    2  mistake in the command or configuration   6  no server, or the data folder is in use
    3  partly done                             130  cancelled";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server.
    ///
    /// Works with no configuration at all: data under ./snapkeep-data, listening on 127.0.0.1:9250, a repository password generated once.
    /// SIGTERM and SIGINT stop it: running snapshots and restores are finished, or failed cleanly when server.shutdown_grace is over.
    #[command(after_help = "Examples:
  snapkeep serve
  snapkeep serve --data-dir /var/lib/snapkeep --listen 127.0.0.1:9250 --listen '[::1]:9250'
  snapkeep serve --repo-root /mount/backups      Allow locations below /mount/backups
  SNAPKEEP_ELASTICSEARCH_SHAPE=opensearch snapkeep serve")]
    Serve(ServeArgs),
    /// Show the whole round trip on data of its own, then keep serving.
    Demo(DemoArgs),
    /// Register, list, verify and clean up repositories.
    #[command(subcommand)]
    Repo(repo::RepoCommand),
    /// Take, list, clone and delete snapshots.
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotCommand),
    /// Restore indices from a snapshot.
    Restore(restore::RestoreArgs),
    /// Snapshot disks, roll them back, export them, attach them without restoring.
    #[command(subcommand)]
    Volume(volume::VolumeCommand),
    /// Bring disks together with the host that uses them; snapshot them at one moment, make images.
    #[command(subcommand)]
    Instance(instance::InstanceCommand),
    /// Show what is in a snapshot as a folder, without restoring it.
    Mount(mount::MountArgs),
    /// Take snapshots by themselves, and remove old ones: make, list, run and preview policies.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Check a repository: its structure, and as much of its data as you like.
    Check(check::CheckArgs),
    /// Reclaim the space of deleted snapshots.
    Prune(prune::PruneArgs),
    /// List, add and remove passwords of a repository.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Make, list, rotate and remove credentials: who may do what.
    #[command(subcommand)]
    Credential(credential::CredentialCommand),
    /// Show who did what.
    Audit(audit::AuditArgs),
    /// List, follow and cancel jobs.
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Check and document the configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print completions for a shell.
    Completions(completions::CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_may_stand_before_and_after_the_command() {
        for line in [
            ["snapkeep", "--data-dir", "/d", "repo", "env", "my_backup"],
            ["snapkeep", "repo", "env", "my_backup", "--data-dir", "/d"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert_eq!(
                cli.connect.settings.data_dir.as_deref(),
                Some(std::path::Path::new("/d"))
            );
        }
        let line = [
            "snapkeep",
            "serve",
            "--data-dir",
            "/d",
            "--listen",
            "127.0.0.1:1",
            "--listen",
            "[::1]:1",
            "--repo-root",
            "/a",
            "--repo-root",
            "/b",
        ];
        let cli = Cli::try_parse_from(line).unwrap();
        assert_eq!(cli.connect.settings.repo_roots.len(), 2);
    }

    #[test]
    fn every_command_explains_itself() {
        fn visit(command: &clap::Command) {
            assert!(
                command.get_about().is_some(),
                "{} has no explanation",
                command.get_name()
            );
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {} has no help",
                    command.get_name(),
                    argument.get_id()
                );
            }
            command.get_subcommands().for_each(visit);
        }
        visit(&Cli::command());
    }
}
