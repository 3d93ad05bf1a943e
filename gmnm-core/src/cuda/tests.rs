//! The kernels' source, compiled as a GPU would have it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::KERNELS;
#[cfg(unix)]
use super::SOURCE;

/// The kernels in PTX.
fn entries(ptx: &str) -> BTreeSet<&str> {
    let after = ptx.split(".entry ").skip(1);
    after
        .filter_map(|rest| rest.split(['(', '\n', ' ']).next())
        .collect()
}

fn expected() -> BTreeSet<&'static str> {
    KERNELS.iter().copied().collect()
}

/// The CUDA toolkit's compiler, if there is one.
fn nvcc() -> Option<PathBuf> {
    let home = std::env::var_os("CUDA_HOME").or_else(|| std::env::var_os("CUDA_PATH"));
    let inside = home.map(|home| Path::new(&home).join("bin/nvcc"));
    let candidates = [inside, Some(PathBuf::from("nvcc"))];
    let mut candidates = candidates.into_iter().flatten();
    candidates.find(|nvcc| Command::new(nvcc).arg("--version").output().is_ok())
}

#[cfg(unix)]
#[test]
#[allow(clippy::print_stderr)]
fn nvcc_compiles_every_kernel_for_ampere_and_hopper() {
    let Some(nvcc) = nvcc() else {
        eprintln!("SKIPPED: PTX of the CUDA kernels, as there is no nvcc");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (source, ptx) = (
        directory.path().join("kernels.cu"),
        directory.path().join("kernels.ptx"),
    );
    std::fs::write(&source, SOURCE).unwrap();
    for architecture in ["compute_80", "compute_90"] {
        let output = Command::new(&nvcc)
            .args([
                "-ptx",
                "-Werror",
                "all-warnings",
                "-arch",
                architecture,
                "-o",
            ])
            .args([&ptx, &source])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{architecture}: {errors}");
        let ptx = std::fs::read_to_string(&ptx).unwrap();
        assert_eq!(entries(&ptx), expected(), "{architecture}");
    }
}

#[cfg(feature = "cuda")]
#[test]
fn the_run_time_compiler_takes_every_kernel() -> candle_core::Result<()> {
    for capability in [(8, 0), (9, 0)] {
        let ptx = super::driver::compiled(capability)?;
        assert_eq!(entries(&ptx), expected(), "{capability:?}");
    }
    Ok(())
}
