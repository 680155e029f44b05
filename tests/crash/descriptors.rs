//! Descriptors that are closed, or not what qmail-lspawn gives.

use super::ground::{Copies, Ground, Home, Kind, message};
use super::{Shared, trial};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::Report;
use std::fs::File;
use std::io::Write;
use std::process::Stdio;

pub(super) fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        trial("descriptors::a_message_that_cannot_be_read_from_its_beginning_defers", shared, no_message),
        trial("descriptors::a_closed_report_loses_nothing", shared, no_report),
        trial("descriptors::a_report_without_a_reader_loses_nothing", shared, no_reader),
    ]
}

fn no_message(ground: &Ground) -> Outcome {
    let message = message(50_000);
    for kind in Kind::EACH {
        let deferred = |what: &str, home: &Home, report: &Report| -> Outcome {
            let what = format!("{}, {what}", kind.ext());
            ensure(report.code == Some(111), format!("{what}: 111 expected: {report:?}"))?;
            // What a program makes of what it cannot read is its own affair.
            let copies = home.copies(kind.ext(), &message)?;
            equal(&what, Copies { program: 0, ..copies }, Copies::default())
        };
        let home = ground.home()?;
        let mut delivery = ground.delivery(&home, kind.ext(), &message);
        "exec 0<&-".clone_into(&mut delivery.before);
        deferred("closed", &home, &delivery.run(&ground.site)?)?;
        ":".clone_into(&mut delivery.before);

        let (reader, mut writer) = std::io::pipe()?;
        let feed = message.clone();
        let feeder = std::thread::spawn(move || writer.write_all(&feed));
        deferred("a pipe", &home, &delivery.run_on(&ground.site, reader.into())?)?;
        drop(feeder.join());

        deferred("a folder", &home, &delivery.run_on(&ground.site, File::open(home.path(""))?.into())?)?;
        home.file("message", &message)?;
        let write_only = File::options().write(true).open(home.path("message"))?;
        deferred("open for writing", &home, &delivery.run_on(&ground.site, write_only.into())?)?;
        ensure(std::fs::read(home.path("message"))? == message, "the message was written to")?;

        let at_end = File::open(home.path("message"))?;
        std::io::Seek::seek(&mut &at_end, std::io::SeekFrom::End(0))?;
        let report = delivery.run_on(&ground.site, at_end.into())?;
        equal("read to its end before", (report.code, report.text.contains("did ")), (Some(0), true))?;
        home.copies(kind.ext(), &message)?.of(kind)?;
    }
    Ok(())
}

fn no_report(ground: &Ground) -> Outcome {
    let message = message(20_000);
    for kind in Kind::EACH {
        for closed in ["1>&-", "2>&-", "1>&- 2>&-"] {
            let home = ground.home()?;
            let mut delivery = ground.delivery(&home, kind.ext(), &message);
            delivery.before = format!("exec {closed}");
            let report = delivery.run(&ground.site)?;
            settled(ground, &home, kind, &message, &report).map_err(|failed| explain(closed, kind, &failed))?;
        }
        // All of them: the files that are opened must not take their places.
        let home = ground.home()?;
        let mut delivery = ground.delivery(&home, kind.ext(), &message);
        "exec 0<&- 1>&- 2>&-".clone_into(&mut delivery.before);
        let report = delivery.run(&ground.site)?;
        equal("all closed", report.code, Some(111))?;
        settled(ground, &home, kind, &message, &report).map_err(|failed| explain("all closed", kind, &failed))?;
    }
    Ok(())
}

fn no_reader(ground: &Ground) -> Outcome {
    let message = message(20_000);
    for kind in Kind::EACH {
        let home = ground.home()?;
        home.file("message", &message)?;
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let mut command = ground.delivery(&home, kind.ext(), &message).command(&ground.site);
        command.stdin(File::open(home.path("message"))?).stdout(writer.try_clone()?).stderr(Stdio::from(writer));
        let code = command.status()?.code();
        let report = Report { code, signal: None, text: String::new() };
        equal("the code", code, Some(0)).map_err(|failed| explain("no reader", kind, &failed))?;
        settled(ground, &home, kind, &message, &report).map_err(|failed| explain("no reader", kind, &failed))?;
    }
    Ok(())
}

/// Delivered and there, or put off and delivered by the retry; never anything else.
fn settled(ground: &Ground, home: &Home, kind: Kind, message: &[u8], report: &Report) -> Outcome {
    let copies = home.copies(kind.ext(), message)?;
    match report.code {
        Some(0) => copies.of(kind),
        Some(111) => ground.retry(home, kind, message),
        _ => Err(format!("{report:?}").into()),
    }
}

fn explain(what: &str, kind: Kind, failed: &Failed) -> String {
    format!("{}, {what}: {}", kind.ext(), failed.message().unwrap_or_default())
}
