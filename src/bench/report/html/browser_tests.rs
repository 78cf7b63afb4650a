//! The page in headless Chromium: it draws, complains about nothing and asks nobody for anything, in light, in dark and on a phone.
//! Skipped, with a line that says so, where Chromium is not installed.

use super::page_tests::full;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than this it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder with the page, which ends with the test unless `GRISTMILL_PICTURES` names one to keep.
struct Folder {
    path: PathBuf,
    kept: bool,
}

impl Folder {
    fn new(name: &str) -> Folder {
        let kept = std::env::var_os("GRISTMILL_PICTURES");
        let path = match &kept {
            Some(path) => PathBuf::from(path).join(name),
            None => std::env::temp_dir().join(format!("gristmill-page-{name}-{}", std::process::id())),
        };
        std::fs::create_dir_all(&path).unwrap();
        Folder { path, kept: kept.is_some() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn chromium() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found =
        names.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success()));
    if found.is_none() {
        println!("skipped: none of {} is installed", names.join(", "));
    }
    found
}

/// What Chromium printed: the page's text after it was drawn, and its log, in which the page's console is.
fn run(browser: &str, folder: &Path, arguments: &[String], address: &str) -> (String, String) {
    let stdout = folder.join("stdout");
    let stderr = folder.join("stderr");
    let file = |path: &Path| Stdio::from(std::fs::File::create(path).unwrap());
    let profile = folder.join("profile");
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars"])
        // Whoever asks for an address gets none, and the log says so.
        .args(["--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking", "--disable-component-update"])
        .args(["--enable-logging=stderr", "--v=0"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(arguments)
        .arg(address)
        .stdin(Stdio::null())
        .stdout(file(&stdout))
        .stderr(file(&stderr))
        .spawn()
        .unwrap();
    let start = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() > PATIENCE => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("Chromium hangs: {}", std::fs::read_to_string(&stderr).unwrap_or_default());
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let _ = std::fs::remove_dir_all(&profile);
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    assert!(status.success(), "{}", read(&stderr));
    (read(&stdout), read(&stderr))
}

/// Lines of the log that come from the page: its console, in which refused loads and errors are.
fn console(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("CONSOLE")).collect()
}

fn saved(folder: &Folder, name: &str, text: &str) -> String {
    let path = folder.path.join(name);
    std::fs::write(&path, text).unwrap();
    format!("file://{}", path.display())
}

#[test]
fn it_is_drawn_without_a_word_on_the_console_and_asks_nobody_for_anything() {
    let Some(browser) = chromium() else { return };
    let folder = Folder::new("console");
    let text = full();
    let log = folder.path.join("net.json");
    let arguments = ["--dump-dom".to_owned(), format!("--log-net-log={}", log.display())];
    let (dom, said) = run(browser, &folder.path, &arguments, &saved(&folder, "page.html", text));
    assert_eq!(dom.matches("<svg ").count(), 14);
    assert!(dom.contains("<h2 id=\"losses-heading\">Where we lose</h2>"));
    assert_eq!(console(&said), Vec::<&str>::new(), "{said}");
    let requests = asked(&std::fs::read_to_string(&log).unwrap());
    assert!(requests.iter().all(|url| url.starts_with("file:") || url.starts_with("data:")), "{requests:?}");
    // This way of looking sees what there is to see.
    let bad = text.replace("<main>", "<main><img src=\"https://gristmill.invalid/a.png\"><script>throw 1</script>");
    let (_, said) = run(browser, &folder.path, &["--dump-dom".to_owned()], &saved(&folder, "bad.html", &bad));
    assert!(console(&said).len() >= 2, "the policy refuses both: {said}");
    let bad = text.replace("<meta http-equiv=\"Content-Security-Policy\"", "<meta name=\"none\"");
    let bad = bad.replace("<main>", "<main><img src=\"https://gristmill.invalid/a.png\">");
    run(browser, &folder.path, &arguments, &saved(&folder, "loads.html", &bad));
    let requests = asked(&std::fs::read_to_string(&log).unwrap());
    assert!(requests.iter().any(|url| url.contains("gristmill.invalid")), "{requests:?}");
}

/// The addresses that requests went to, from Chromium's own log of its network. What the browser asks on its own behalf is no request of the page.
fn asked(log: &str) -> Vec<String> {
    const ITS_OWN: [&str; 3] = ["google.com", "googleapis.com", "gvt1.com"];
    let urls = log.split("\"url\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    urls.filter(|url| !ITS_OWN.iter().any(|own| url.contains(own))).map(str::to_owned).collect()
}

/// The picture's width, height and pixels.
fn picture(path: &Path) -> (usize, usize, Vec<[u8; 3]>) {
    let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    let each = info.color_type.samples();
    let pixels = bytes[..info.buffer_size()].chunks_exact(each).map(|p| [p[0], p[1], p[2]]).collect();
    (info.width as usize, info.height as usize, pixels)
}

#[test]
fn light_dark_and_narrow_ones_are_drawn_in_their_colours() {
    let Some(browser) = chromium() else { return };
    let folder = Folder::new("pictures");
    let address = saved(&folder, "page.html", full());
    // Names, sizes, whether dark, and the colours of the background and of gristmill's bars in the style sheet.
    let light = ([0xf7, 0xf8, 0xf9], [0x00, 0x60, 0xb0]);
    let dark = ([0x12, 0x15, 0x18], [0x5a, 0xb2, 0xff]);
    for (name, (width, height), is_dark, (background, ours)) in
        [("light", (1280, 2600), false, light), ("dark", (1280, 2600), true, dark), ("phone", (500, 2600), false, light)]
    {
        let path = folder.path.join(format!("{name}.png"));
        let mut arguments = vec![format!("--screenshot={}", path.display()), format!("--window-size={width},{height}")];
        if is_dark {
            arguments.push("--blink-settings=preferredColorScheme=0".into());
        }
        run(browser, &folder.path, &arguments, &address);
        let (wide, _, pixels) = picture(&path);
        assert_eq!(wide, width, "{name}");
        let count = |color: [u8; 3]| pixels.iter().filter(|pixel| **pixel == color).count();
        assert!(count(background) > 10_000, "{name}: {} of the background", count(background));
        assert!(count(ours) > 200, "{name}: {} of gristmill's colour", count(ours));
    }
}
