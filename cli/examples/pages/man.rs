//! Manual pages, in man(7).

use std::fmt::Write;

use crate::{Command, arguments, forms, value, verbs};

/// vial(8).
pub(crate) fn of_vial(vial: &Command) -> String {
    let mut page = begin("vial", vial.description);
    page += "\\fBvial\\fR [\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]\n.SH DESCRIPTION\n";
    page += &paragraph(vial.description);
    page += ".PP\nIt reads a bundle's config.json, starts vial-init, which becomes the container, and keeps the \
             state in /run/vial. Each command has a page of its own. \\fBvial plan\\fR tells what a \
             bundle would do, and \\fBvial doctor\\fR what this machine lacks.\n";
    options(&mut page, vial);
    page += ".SH COMMANDS\n";
    for verb in verbs(vial) {
        let _ = write!(
            page,
            ".TP\n\\fBvial\\-{}\\fR(8)\n{}",
            escape(verb.name),
            paragraph(verb.description)
        ); // To a String.
    }
    page += ".SH EXIT STATUS\n\
             0 after success, 1 after an error, which is one sentence on standard error, with a hint below \
             if something can be done. \\fBvial run\\fR and \\fBvial exec\\fR end with the status of \
             their process, or with 128 and the number of the signal that ended it.\n\
             .SH FILES\n\
             .TP\n/run/vial\nThe state of root's containers.\n\
             .TP\n$XDG_RUNTIME_DIR/vial\nThe state of an ordinary user's containers.\n\
             .TP\n/usr/libexec/vial/vial\\-init\nThe program that becomes the container, if it is not beside \\fBvial\\fR.\n";
    examples(&mut page, vial);
    page += ".SH SEE ALSO\n";
    let pages: Vec<String> =
        verbs(vial).map(|verb| format!("\\fBvial\\-{}\\fR(8)", escape(verb.name))).collect();
    page + &pages.join(",\n") + "\n"
}

/// The page of a verb.
pub(crate) fn of_verb(verb: &Command) -> String {
    let mut page = begin(&format!("vial-{}", verb.name), verb.description);
    let _ = write!(
        page,
        "\\fBvial {}\\fR [\\fIoptions\\fR]{}\n.SH DESCRIPTION\n{}",
        escape(verb.name),
        escape(&arguments(verb)),
        paragraph(verb.description)
    ); // To a String.
    if !verb.positionals.is_empty() {
        page += ".SH ARGUMENTS\n";
        for argument in verb.positionals {
            let _ = write!(
                page,
                ".TP\n\\fI{}\\fR\n{}",
                escape(argument.name),
                paragraph(argument.description)
            ); // To a String.
        }
    }
    options(&mut page, verb);
    examples(&mut page, verb);
    page + ".SH SEE ALSO\n\\fBvial\\fR(8)\n"
}

fn begin(name: &str, description: &str) -> String {
    let (version, title) = (env!("CARGO_PKG_VERSION"), name.to_uppercase());
    let name = escape(name);
    let description = description.trim_end_matches('.');
    format!(
        ".TH {} 8 \"\" \"vial {version}\" \"vial\"\n.SH NAME\n{name} \\- {}\n.SH SYNOPSIS\n",
        escape(&title),
        escape(&sentence(description))
    )
}

fn options(page: &mut String, command: &Command) {
    page.push_str(".SH OPTIONS\n");
    for flag in command.flags {
        let forms: Vec<String> =
            forms(flag).iter().map(|form| format!("\\fB{}\\fR", escape(form))).collect();
        let value =
            value(flag).map_or(String::new(), |value| format!(" \\fI{}\\fR", escape(value)));
        let _ = write!(page, ".TP\n{}{value}\n{}", forms.join(", "), paragraph(flag.description)); // To a String.
    }
}

fn examples(page: &mut String, command: &Command) {
    page.push_str(".SH EXAMPLES\n.EX\n");
    for line in command.examples.iter().flat_map(|example| example.lines()) {
        page.push_str(&format!("{}\n", escape(line)));
    }
    page.push_str(".EE\n");
}

/// A text on one line.
fn paragraph(text: &str) -> String {
    format!("{}\n", escape(&sentence(text)))
}

fn sentence(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A hyphen that stands for itself, and no escapes.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
