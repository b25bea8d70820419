//! `tollgate validate`: every problem of the manifests, one a line.

use std::process::ExitCode;

use super::fail;
use crate::config;
use crate::settings::Validate;

pub(crate) fn run(settings: &Validate) -> ExitCode {
    let mut resources = Vec::new();
    let mut problems = Vec::new();
    for file in config::read_files(&settings.files) {
        let name = file.path.display().to_string();
        match file.text {
            Ok(text) => {
                let variable = |name: &str| std::env::var(name).ok();
                let (loaded, found) = tollgate_crds::parse(&name, &text, &variable);
                resources.extend(loaded);
                problems.extend(found);
            }
            Err(reason) => return fail(&format!("{name}: {reason}")),
        }
    }
    let (_snapshot, found) = tollgate_crds::compile(&resources);
    problems.extend(found);
    for problem in &problems {
        println!("{problem}");
    }
    if resources.is_empty() && problems.is_empty() {
        let named: Vec<String> = settings.files.iter().map(|path| path.display().to_string()).collect();
        fail(&format!("no resources found in {}", named.join(", ")))
    } else if problems.is_empty() {
        println!("{} resources, no problem", resources.len());
        ExitCode::SUCCESS
    } else {
        fail(&format!("{} resources, {} problems", resources.len(), problems.len()))
    }
}
