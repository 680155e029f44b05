//! The recorded cases.

use super::record::{Entry, Queued, Record};
use libtest_mimic::Failed;
use serde_json::{Map, Value};
use std::time::Duration;

const FILE: &str = include_str!("qmail-local.json");

/// Parts of `input` that `argv` already says.
const IN_ARGV: [&str; 11] =
    ["home", "ext", "dash", "local", "host", "sender", "aliasempty", "opts", "extra", "rawargs", "nodashdash"];

/// One case.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Its name.
    pub(super) name: String,
    /// The arguments; `@HOME@` stands for the home.
    pub(super) argv: Vec<Vec<u8>>,
    /// Descriptor 0.
    pub(super) message: Vec<u8>,
    /// What the home holds, in the order in which it is made.
    pub(super) made: Vec<Made>,
    /// Mode of the home.
    pub(super) home_mode: u32,
    /// Environment besides the usual.
    pub(super) env: Vec<(Vec<u8>, Vec<u8>)>,
    /// A file that somebody else has locked, if any.
    pub(super) lock: Option<Vec<u8>>,
    /// It waits for at least so long. The other end of what is recorded is up to how busy the machine is.
    pub(super) waits: Duration,
    /// What the stock program did.
    pub(super) want: Record,
}

/// Something in the home.
#[derive(Clone, Debug)]
pub(super) struct Made {
    /// Below the home.
    pub(super) path: Vec<u8>,
    /// What it is.
    pub(super) kind: Kind,
}

/// See [`Made`].
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Mode, content.
    File(u32, Vec<u8>),
    /// Mode.
    Dir(u32),
    /// Target.
    Symlink(Vec<u8>),
}

/// The eight words of a delivery, as [`Case::words`] finds them.
pub(super) struct Words<'a> {
    /// Where the user stands in `argv`.
    pub(super) user_at: usize,
    /// Third word but one.
    pub(super) dash: &'a [u8],
    /// The extension.
    pub(super) ext: &'a [u8],
}

/// Reads all of them.
///
/// # Errors
/// If the file is not what this reader knows.
pub(super) fn all() -> Result<Vec<Case>, Failed> {
    let file: Value = serde_json::from_str(FILE)?;
    let message = latin1(&file["message"])?;
    let cases = file["cases"].as_array().ok_or("no cases")?;
    let read = |case: &Value| read(case, &message).map_err(|error| format!("{}: {error:?}", case["name"]).into());
    cases.iter().map(read).collect()
}

impl Case {
    /// The words of a delivery; `None` if the arguments are no such words.
    pub(super) fn words(&self) -> Option<Words<'_>> {
        let is_option = |word: &&Vec<u8>| word.len() > 1 && word.starts_with(b"-");
        let options = self.argv.iter().take_while(is_option).count();
        match self.argv.get(options..)? {
            [_, _, _, dash, ext, _, _, _] => Some(Words { user_at: options, dash, ext }),
            _ => None,
        }
    }
}

fn read(case: &Value, message: &[u8]) -> Result<Case, Failed> {
    let input = case["input"].as_object().ok_or("no input")?;
    let known = ["files", "home_mode", "msg", "env", "lock", "slow"];
    if let Some(other) = input.keys().find(|key| !known.contains(&&***key) && !IN_ARGV.contains(&&***key)) {
        return Err(format!("what is {other}?").into());
    }
    let argv = array(&case["argv"])?.iter().map(latin1).collect::<Result<Vec<_>, _>>()?;
    let env = match input.get("env") {
        Some(env) => {
            env.as_object().ok_or("env")?.iter().map(|(name, value)| Ok((bytes(name)?, latin1(value)?))).collect()
        }
        None => Ok(Vec::new()),
    };
    Ok(Case {
        name: case["name"].as_str().ok_or("no name")?.to_owned(),
        argv: whole(argv, input)?,
        message: input.get("msg").map_or(Ok(message.to_vec()), latin1)?,
        made: array(&input["files"])?.iter().map(made).collect::<Result<_, _>>()?,
        home_mode: input.get("home_mode").map_or(Ok(0o755), mode)?,
        env: env.map_err(|error: Failed| error)?,
        lock: input.get("lock").map(latin1).transpose()?,
        waits: seconds(&case["want"]["seconds"])?,
        want: want(&case["want"])?,
    })
}

/// `argv` with its long words, of which only the length is recorded.
fn whole(mut argv: Vec<Vec<u8>>, input: &Map<String, Value>) -> Result<Vec<Vec<u8>>, Failed> {
    let long = |word: &[u8]| std::str::from_utf8(word.strip_prefix(b"len=")?).ok()?.parse::<usize>().ok();
    let known: Vec<Vec<u8>> = match input.get("ext") {
        Some(ext) => {
            let ext = latin1(ext)?;
            vec![[b"joe-", &ext[..]].concat(), ext]
        }
        None => Vec::new(),
    };
    for word in &mut argv {
        if let Some(length) = long(word) {
            *word = known.iter().find(|one| one.len() == length).ok_or("an unknown long argument")?.clone();
        }
    }
    Ok(argv)
}

fn made(file: &Value) -> Result<Made, Failed> {
    let kind = match file["kind"].as_str() {
        Some("file") => Kind::File(mode(&file["mode"])?, latin1(&file["data"])?),
        Some("dir") => Kind::Dir(mode(&file["mode"])?),
        Some("symlink") => Kind::Symlink(latin1(&file["target"])?),
        other => return Err(format!("what is {other:?}?").into()),
    };
    Ok(Made { path: latin1(&file["path"])?, kind })
}

fn want(want: &Value) -> Result<Record, Failed> {
    let known = ["exit", "output", "files", "removed", "queue", "seconds"];
    if want.as_object().ok_or("no want")?.keys().any(|key| !known.contains(&&**key)) {
        return Err("more is wanted than is known here".into());
    }
    let file = |(path, file): (&String, &Value)| {
        let mode = file["mode"].as_str().ok_or("no mode")?.to_owned();
        Ok((bytes(path)?, Entry { mode, data: latin1(&file["data"])? }))
    };
    let queued = |run: &Value| Ok(Queued { message: latin1(&run["mess"])?, envelope: latin1(&run["env"])? });
    Ok(Record {
        exit: Some(want["exit"].as_i64().ok_or("no exit code")?),
        output: latin1(&want["output"])?,
        files: want["files"].as_object().ok_or("no files")?.iter().map(file).collect::<Result<_, Failed>>()?,
        removed: array(&want["removed"])?.iter().map(latin1).collect::<Result<_, _>>()?,
        queue: array(&want["queue"])?.iter().map(queued).collect::<Result<_, Failed>>()?,
    })
}

/// `25-40`: the shorter of the two.
fn seconds(value: &Value) -> Result<Duration, Failed> {
    match value.as_str() {
        None => Ok(Duration::ZERO),
        Some(range) => Ok(Duration::from_secs(range.split('-').next().unwrap_or_default().parse()?)),
    }
}

fn array(value: &Value) -> Result<&Vec<Value>, Failed> {
    value.as_array().ok_or_else(|| format!("no list: {value}").into())
}

fn mode(value: &Value) -> Result<u32, Failed> {
    Ok(u32::from_str_radix(value.as_str().ok_or("no mode")?, 8)?)
}

fn latin1(value: &Value) -> Result<Vec<u8>, Failed> {
    bytes(value.as_str().ok_or_else(|| format!("no text: {value}"))?)
}

fn bytes(text: &str) -> Result<Vec<u8>, Failed> {
    text.chars().map(|c| u8::try_from(u32::from(c)).map_err(Failed::from)).collect()
}
