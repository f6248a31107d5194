//! The command line of `ringdns ctl`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::cache::Cache;

/// Speak to a running server over its admin API
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
ringdns ctl list\n  \
ringdns ctl create zone example.org. --ns ns1.example.org.\n  \
ringdns ctl create record example.org. www A 192.0.2.1 192.0.2.2 --ttl 60 --select random\n  \
ringdns ctl import example.org. example.org.zone --mode replace --dry-run\n  \
ringdns ctl diff example.org. example.org.zone || echo differs\n  \
ringdns ctl watch example.org. --output json\n  \
ringdns ctl cache flush www.example.com\n  \
source <(ringdns ctl completions bash)\n\n\
A token is taken from --token-file, RINGDNS_TOKEN_FILE or RINGDNS_TOKEN, never from the command line, where other users of the \
machine could read it. Nothing asks back: what a script may not do by accident needs --yes.\n\n\
Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 not found, 4 no connection, 5 differs (diff).")]
pub struct Ctl {
    /// How to reach the server.
    #[command(flatten)]
    pub(super) connection: Connection,
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// How to reach the server, and in which form to print what it says.
#[derive(Args, Clone, Debug)]
pub(super) struct Connection {
    /// The admin API: [admin] listen of its configuration, or a proxy with TLS before it
    #[arg(long, global = true, value_name = "URL", env = "RINGDNS_SERVER", default_value = "http://127.0.0.1:8053")]
    pub(super) server: String,
    /// A file whose first line is the token
    #[arg(long, global = true, value_name = "FILE", env = "RINGDNS_TOKEN_FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Certificates in PEM form of who may sign the server's, in place of those that this system trusts
    #[arg(long, global = true, value_name = "FILE", env = "RINGDNS_CA_FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Tables for people, or JSON for programs
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub(super) output: Output,
}

/// In which form output is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Columns
    Table,
    /// JSON as the admin API has it
    Json,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Command {
    /// List the zones, or the records of one
    List {
        /// The zone
        zone: Option<String>,
        /// Only records of this owner
        #[arg(long, requires = "zone")]
        owner: Option<String>,
    },
    /// Show a zone, what an owner has, or one RRset
    Show {
        /// The zone
        zone: String,
        /// The owner, relative to the zone or with a dot at its end; @ is the zone itself
        owner: Option<String>,
        /// The type
        #[arg(value_name = "TYPE")]
        rtype: Option<String>,
        /// The view of the RRset
        #[arg(long, requires = "rtype")]
        view: Option<String>,
    },
    /// Make a zone or an RRset that is not there yet
    #[command(subcommand)]
    Create(Create),
    /// Change a zone or an RRset that is there
    #[command(subcommand)]
    Update(Update),
    /// Remove a zone or an RRset
    #[command(subcommand)]
    Delete(Delete),
    /// Bring a zone file or JSON into a zone: all of it, or nothing
    Import(Import),
    /// Write a zone as zone file or JSON
    Export(Export),
    /// Print changes as they are published, until interrupted
    Watch(Watch),
    /// Compare a zone file or JSON with what is served: "-" is served only, "+" is in the file only
    #[command(after_help = "The serial of the SOA record is not compared: each change of a zone raises it.\n\n\
                            Exit codes: 0 the same, 5 differs, and those of ringdns ctl.")]
    Diff {
        /// The zone
        zone: String,
        /// The file; JSON where its name ends in .json
        file: PathBuf,
    },
    /// Show what the server is and what it serves
    Status,
    /// Show what the server counts: queries in all, of the names asked for most, or of one name
    Stats {
        /// Of this name
        name: Option<String>,
        /// Of so many names that are asked for most
        #[arg(long, value_name = "N", conflicts_with = "name")]
        top: Option<u32>,
    },
    /// Show addresses whose health is known: how they are, since when, who found them so and why
    Members(Members),
    /// Show what is kept of names of others, or forget it
    #[command(subcommand)]
    Cache(Cache),
    /// Show who is asked for names of others, and how they are
    Upstreams,
    /// Show views, or change those that are kept in the store
    #[command(subcommand_value_name = "ACTION", args_conflicts_with_subcommands = true)]
    Views(ViewsArguments),
    /// Print completions for a shell
    #[command(after_help = "Examples:\n  source <(ringdns ctl completions bash)\n  \
                            ringdns ctl completions zsh > ~/.zfunc/_ringdns\n  \
                            ringdns ctl completions fish > ~/.config/fish/completions/ringdns.fish")]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// Which members are shown.
#[derive(Args, Clone, Debug)]
pub(super) struct Members {
    /// One address, or the addresses of a name, also those of which nothing is known
    #[arg(value_name = "ADDRESS|NAME")]
    pub(super) of: Option<String>,
    /// Only those that are so
    #[arg(long, value_enum)]
    pub(super) state: Option<MemberState>,
}

/// How a member can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum MemberState {
    /// It is answered
    Up,
    /// It is left out
    Down,
    /// Nothing is known of it
    Unknown,
}

/// What `views` does; without a word it lists.
#[derive(Args, Clone, Debug)]
pub(super) struct ViewsArguments {
    /// What to do with views; without it they are listed.
    #[command(subcommand)]
    pub(super) action: Option<Views>,
}

impl ViewsArguments {
    /// What to do; listing where nothing is said.
    pub(super) fn as_ref(&self) -> Option<&Views> {
        self.action.as_ref()
    }
}

/// What to make.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Create {
    /// Make a zone
    Zone(Zone),
    /// Make an RRset
    Record(Record),
}

/// What to change.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Update {
    /// Change a zone's own records
    Zone(Zone),
    /// Change an RRset: what is not named stays
    #[command(
        after_help = "Where somebody else changes the RRset at the same time, nothing is changed: exit code 1.\n\n\
                            Examples:\n  ringdns ctl update record example.org. www A --add 192.0.2.3 --remove 192.0.2.1\n  \
                            ringdns ctl update record example.org. www A 192.0.2.1 192.0.2.2 --weights 3,1 --select weighted\n  \
                            ringdns ctl update record example.org. www A --down 192.0.2.1"
    )]
    Record(Change),
}

/// What to remove.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Delete {
    /// Remove a zone with all its records
    Zone {
        /// The zone
        zone: String,
        /// Yes, all of it
        #[arg(long)]
        yes: bool,
    },
    /// Remove an RRset
    Record {
        /// The zone
        zone: String,
        /// The owner
        owner: String,
        /// The type
        #[arg(value_name = "TYPE")]
        rtype: String,
        /// The view of the RRset
        #[arg(long)]
        view: Option<String>,
    },
}

/// A zone's own records.
#[derive(Args, Clone, Debug)]
pub(super) struct Zone {
    /// The zone
    pub(super) zone: String,
    /// TTL in seconds of its SOA and NS records
    #[arg(long)]
    pub(super) ttl: Option<u32>,
    /// A name server; may be given again
    #[arg(long, value_name = "NAME")]
    pub(super) ns: Vec<String>,
    /// SOA: the primary name server
    #[arg(long, value_name = "NAME")]
    pub(super) mname: Option<String>,
    /// SOA: the mailbox of whoever is responsible
    #[arg(long, value_name = "NAME")]
    pub(super) rname: Option<String>,
    /// SOA: seconds for which negative answers may be kept
    #[arg(long, value_name = "SECONDS")]
    pub(super) minimum: Option<u32>,
}

/// How the records of an RRset are chosen from.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Selection {
    /// How answers are chosen: all, rotate, round_robin, weighted, source_hash, random or sticky
    #[arg(long, value_name = "MODE")]
    pub(super) select: Option<String>,
    /// Most records of an answer; 0: no bound
    #[arg(long, value_name = "N")]
    pub(super) max_answers: Option<u16>,
    /// The records' weights, in their order
    #[arg(long, value_delimiter = ',', value_name = "N,N")]
    pub(super) weights: Vec<u16>,
    /// A record that is down; may be given again
    #[arg(long, value_name = "RDATA")]
    pub(super) down: Vec<String>,
    /// A record that is up again; may be given again
    #[arg(long, value_name = "RDATA")]
    pub(super) up: Vec<String>,
}

/// A new RRset.
#[derive(Args, Clone, Debug)]
pub(super) struct Record {
    /// The zone
    pub(super) zone: String,
    /// The owner, relative to the zone or with a dot at its end; @ is the zone itself
    pub(super) owner: String,
    /// The type
    #[arg(value_name = "TYPE")]
    pub(super) rtype: String,
    /// Its records, each as one argument: "10 mail.example.org."
    #[arg(required = true)]
    pub(super) rdata: Vec<String>,
    /// TTL in seconds
    #[arg(long, default_value_t = 300)]
    pub(super) ttl: u32,
    /// The view whose clients see it
    #[arg(long)]
    pub(super) view: Option<String>,
    /// How its records are chosen from.
    #[command(flatten)]
    pub(super) selection: Selection,
}

/// A change of an RRset.
#[derive(Args, Clone, Debug)]
pub(super) struct Change {
    /// The zone
    pub(super) zone: String,
    /// The owner
    pub(super) owner: String,
    /// The type
    #[arg(value_name = "TYPE")]
    pub(super) rtype: String,
    /// Its records from now on
    #[arg(conflicts_with_all = ["add", "remove"])]
    pub(super) rdata: Vec<String>,
    /// A record that comes; may be given again
    #[arg(long, value_name = "RDATA")]
    pub(super) add: Vec<String>,
    /// A record that goes; may be given again
    #[arg(long, value_name = "RDATA")]
    pub(super) remove: Vec<String>,
    /// TTL in seconds
    #[arg(long)]
    pub(super) ttl: Option<u32>,
    /// The view of the RRset
    #[arg(long)]
    pub(super) view: Option<String>,
    /// How its records are chosen from.
    #[command(flatten)]
    pub(super) selection: Selection,
}

/// Forms of a whole zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A zone file (RFC 1035), selections and views as comments that RingDNS reads
    Zone,
    /// JSON
    Json,
}

/// What becomes of records that are not in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// They stay
    Merge,
    /// They go
    Replace,
}

/// A file that is brought into a zone.
#[derive(Args, Clone, Debug)]
#[command(after_help = "How far it is stands on standard error; the outcome on standard output.\n\n\
                        Examples:\n  ringdns ctl import example.org. example.org.zone --mode replace --dry-run\n  \
                        ringdns ctl export example.org. --format json | ringdns ctl --server http://192.0.2.7:8053 import \
                        example.org. - --format json")]
pub(super) struct Import {
    /// The zone
    pub(super) zone: String,
    /// The file; "-" is standard input
    pub(super) file: PathBuf,
    /// What becomes of records that are not in the file
    #[arg(long, value_enum, default_value_t = Mode::Merge)]
    pub(super) mode: Mode,
    /// The file's form; without it, JSON where its name ends in .json
    #[arg(long, value_enum)]
    pub(super) format: Option<Format>,
    /// Check everything and count what would change, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// A zone that is written to a file.
#[derive(Args, Clone, Debug)]
pub(super) struct Export {
    /// The zone
    pub(super) zone: String,
    /// The form
    #[arg(long, value_enum, default_value_t = Format::Zone)]
    pub(super) format: Format,
    /// The file, which takes the place of one that is there once it is whole; without it, standard output
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

/// Which changes are printed.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "A connection that is lost is made anew, and what changed meanwhile is printed then. With --output json \
                        each change is one line: {\"event\":...,\"data\":...}. The event \"reset\" says that changes are \
                        missing: list anew."
)]
pub(super) struct Watch {
    /// Only of this zone
    pub(super) zone: Option<String>,
    /// Begin behind this generation
    #[arg(long, value_name = "GENERATION")]
    pub(super) from: Option<u64>,
    /// End after so many changes
    #[arg(long, value_name = "N")]
    pub(super) count: Option<u64>,
}

/// What to do with views.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Views {
    /// List them
    List,
    /// Have a view with these networks for its clients
    Set {
        /// The view's name
        name: String,
        /// Networks such as 192.0.2.0/24
        #[arg(required = true)]
        prefixes: Vec<String>,
    },
    /// Remove a view
    Delete {
        /// The view's name
        name: String,
    },
}

/// Shells that completions are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}
