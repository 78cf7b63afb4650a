//! SVG in the page's own colours. The drawing library knows fixed colours only: each of the page's has a stand-in that is replaced in the text.

use super::text::escape;
use crate::bench::contender::{Family, Result, Waits};
use plotters::element::DynElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What drawings go to.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// A colour of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Of text.
    Text,
    /// Of less important text, and of axes.
    Muted,
    /// Of lines behind everything.
    Grid,
    /// Of contenders that are not picked out.
    Other,
    /// Of a family.
    Of(Family),
}

const FAMILIES: [Family; 5] = [Family::Engine, Family::Kernel, Family::Memory, Family::Threads, Family::Peer];
const WAITS: [Waits; 3] = [Waits::Block, Waits::Adaptive, Waits::Spin];

/// The name of a family's colour in the style sheet.
pub fn class(family: Family) -> &'static str {
    match family {
        Family::Engine => "engine",
        Family::Kernel => "kernel",
        Family::Memory => "memory",
        Family::Threads => "threads",
        Family::Peer => "peer",
    }
}

fn place<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|other| other == one).unwrap_or_default() as u8
}

/// The stand-in.
pub fn ink(ink: Ink) -> RGBColor {
    let n = match ink {
        Ink::Text => 0,
        Ink::Muted => 1,
        Ink::Grid => 2,
        Ink::Other => 3,
        Ink::Of(family) => 4 + place(&FAMILIES, &family),
    };
    RGBColor(1, 2, n)
}

/// The stand-in for a line: in the family's colour, with dashes that tell how it waits.
pub fn stroke(family: Family, waits: Waits) -> RGBColor {
    RGBColor(1, 2, 16 + 3 * place(&FAMILIES, &family) + place(&WAITS, &waits))
}

fn dashes(waits: Waits) -> &'static str {
    match waits {
        Waits::Adaptive => "none",
        Waits::Block => "8 4",
        Waits::Spin => "2 4",
    }
}

/// All stand-ins and what is put for them.
fn replacements() -> Vec<(String, String)> {
    let code = |RGBColor(r, g, b)| format!("=\"#{r:02X}{g:02X}{b:02X}\"");
    let plain = [(Ink::Text, "text"), (Ink::Muted, "muted"), (Ink::Grid, "grid"), (Ink::Other, "other")];
    let families = FAMILIES.map(|family| (Ink::Of(family), class(family)));
    let plain = plain.into_iter().chain(families).map(|(of, name)| (code(ink(of)), format!("=\"var(--{name})\"")));
    let lines = FAMILIES.into_iter().flat_map(|family| WAITS.map(|waits| (family, waits)));
    let lines = lines.map(|(family, waits)| {
        let dashes = dashes(waits);
        (code(stroke(family, waits)), format!("=\"var(--{})\" stroke-dasharray=\"{dashes}\"", class(family)))
    });
    plain.chain(lines).collect()
}

/// A drawing that stands in a page. `id` is its own in the page; `label` says what it shows to who cannot see it.
///
/// # Errors
/// If it cannot be drawn.
pub fn draw(size: (u32, u32), id: &str, label: &str, draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&area)?;
        area.present()?;
    }
    let (_, body) = text.split_once("<svg").and_then(|(_, rest)| rest.split_once('>')).ok_or("no drawing was made")?;
    let mut body = body.to_owned();
    for (stand_in, color) in replacements() {
        body = body.replace(&stand_in, &color);
    }
    let ((width, height), label) = (size, escape(label));
    Ok(format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{id}\">\n<title id=\"{id}\">{label}</title>{body}"
    ))
}

/// Text of a size, anchored.
pub fn style(size: u32, of: Ink, h: HPos, v: VPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&ink(of)).pos(Pos::new(h, v))
}

/// A mark whose form tells how a contender waits: a circle for adaptive, a square for blocking, a triangle for spinning.
pub fn mark<'a, C: Clone + 'a>(at: C, family: Family, waits: Waits) -> DynElement<'a, SVGBackend<'a>, C> {
    let fill = ink(Ink::Of(family)).filled();
    match waits {
        Waits::Adaptive => (EmptyElement::at(at) + Circle::new((0, 0), 4, fill)).into_dyn(),
        Waits::Block => (EmptyElement::at(at) + Rectangle::new([(-4, -4), (4, 4)], fill)).into_dyn(),
        Waits::Spin => (EmptyElement::at(at) + Polygon::new([(0, -5), (5, 4), (-5, 4)], fill)).into_dyn(),
    }
}

/// An interval: a line between two places, with caps.
///
/// # Errors
/// If it cannot be drawn.
pub fn span(area: &Area<'_>, from: (i32, i32), to: (i32, i32), color: RGBColor) -> Result<()> {
    let (across, along) = if from.1 == to.1 { (0, 4) } else { (4, 0) };
    let cap = |(x, y): (i32, i32)| [(x - across, y - along), (x + across, y + along)];
    for line in [[from, to], cap(from), cap(to)] {
        area.draw(&PathElement::new(line, color))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_have_the_colours_of_the_page_only_and_a_title() {
        let made = draw((100, 50), "an-id", "what <it> shows", |area| {
            area.draw(&PathElement::new([(0, 0), (9, 9)], stroke(Family::Peer, Waits::Spin)))?;
            area.draw(&Circle::new((5, 5), 3, ink(Ink::Of(Family::Engine)).filled()))?;
            Ok(area.draw(&Text::new("a \"<b>\" =\"#010200\"", (1, 1), style(12, Ink::Muted, HPos::Left, VPos::Top)))?)
        });
        let made = made.unwrap();
        assert!(!made.contains("=\"#"), "{made}");
        assert!(made.contains("stroke=\"var(--peer)\" stroke-dasharray=\"2 4\""), "{made}");
        assert!(made.contains("fill=\"var(--engine)\"") && made.contains("fill=\"var(--muted)\""), "{made}");
        assert!(made.contains("<title id=\"an-id\">what &lt;it&gt; shows</title>"), "{made}");
        assert!(!made.contains("<b>") && !made.contains("http"), "{made}");
    }
}
