//! The figures as a picture: for each kernel and layout a panel of bars, from which thin lines reach
//! from the least to the most.

use super::report::{Row, median, range};

const WIDTH: f64 = 760.0;
/// Where bars begin, and where the longest one ends.
const LEFT: f64 = 110.0;
const RIGHT: f64 = 650.0;
const BAR: f64 = 11.0;
/// The room of a subject: two bars and a gap.
const SUBJECT: f64 = 34.0;
const HEAD: f64 = 56.0;
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#222}.title{font-weight:600}\
                     .small{font-size:11px;fill:#555}.one{fill:#9db7d9}.many{fill:#2f5d9b}\
                     line{stroke:#222;stroke-width:1.2}.axis{stroke:#ccc}";

/// The picture, as SVG.
pub(super) fn draw(rows: &[Row]) -> String {
    let panels = panels(rows);
    let heights = panels.iter().map(|panel| height(panel));
    let total: f64 = heights.sum();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {total}\" \
         width=\"{WIDTH}\" height=\"{total}\">\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let mut top = 0.0;
    for panel in panels {
        draw_panel(&mut svg, panel, top);
        top += height(panel);
    }
    svg + "</svg>\n"
}

/// The rows of each kernel and layout, which stand together.
fn panels(rows: &[Row]) -> Vec<&[Row]> {
    rows.chunk_by(|one, other| (&one.kernel, &one.layout) == (&other.kernel, &other.layout))
        .collect()
}

/// The rows of each subject, which stand together.
fn subjects(panel: &[Row]) -> impl Iterator<Item = &[Row]> {
    panel.chunk_by(|one, other| one.subject == other.subject)
}

fn height(panel: &[Row]) -> f64 {
    subjects(panel).map(|_| SUBJECT).sum::<f64>() + HEAD + 8.0
}

fn draw_panel(svg: &mut String, panel: &[Row], top: f64) {
    let [first, ..] = panel else { return };
    let flows: Vec<u16> =
        subjects(panel).next().into_iter().flatten().map(|row| row.flows).collect();
    let legend = |number: usize| flows.get(number).map_or(String::new(), ToString::to_string);
    svg.extend([format!(
        "<text class=\"title\" x=\"12\" y=\"{}\">{}, Linux {}</text>\
         <text class=\"small\" x=\"12\" y=\"{}\">packets per second; light: {} flow, dark: {} flows; \
         bar: median, line: least to most</text>\n",
        top + 24.0,
        first.layout,
        first.kernel,
        top + 42.0,
        legend(0),
        legend(1)
    )]);
    let most = panel.iter().map(|row| range(&row.pps).1).fold(1.0, f64::max);
    let bottom = top + height(panel) - 8.0;
    svg.extend([format!(
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{LEFT}\" y1=\"{}\" y2=\"{bottom}\"/>\n",
        top + HEAD - 4.0
    )]);
    for (number, subject) in subjects(panel).enumerate() {
        let place = top + HEAD + SUBJECT * f64::from(u16::try_from(number).unwrap_or(u16::MAX));
        draw_subject(svg, subject, place, most);
    }
}

fn draw_subject(svg: &mut String, rows: &[Row], mut top: f64, most: f64) {
    let [first, ..] = rows else { return };
    let x = |pps: f64| LEFT + (RIGHT - LEFT) * pps / most;
    svg.extend([format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
        LEFT - 8.0,
        top + BAR + 4.0,
        first.subject
    )]);
    for row in rows {
        let class = if row.flows == 1 { "one" } else { "many" };
        let pps = median(&row.pps).unwrap_or_default();
        let (least, most) = range(&row.pps);
        let middle = top + BAR / 2.0;
        svg.extend([format!(
            "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{top}\" width=\"{:.1}\" height=\"{BAR}\"/>\
             <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>\
             <text class=\"small\" x=\"{:.1}\" y=\"{}\">{}</text>\n",
            x(pps) - LEFT,
            x(least),
            x(most),
            x(most) + 6.0,
            top + BAR - 1.5,
            thousands(pps)
        )]);
        top += BAR + 1.0;
    }
}

/// A rate as people read it.
fn thousands(pps: f64) -> String {
    if pps < 1e6 { format!("{:.1} k", pps / 1e3) } else { format!("{:.2} M", pps / 1e6) }
}

#[cfg(test)]
mod tests {
    use super::{super::turns::Series, *};

    #[test]
    fn every_panel_has_its_bars() {
        let row = |layout, subject, flows| {
            let series = Series { subject, flows, pps: vec![9e3, 1e4, 1.2e4], offered: vec![5e4] };
            Row::new("6.12", layout, series)
        };
        let rows = [
            row("three-vms", "xdp-tx", 1),
            row("three-vms", "xdp-tx", 4096),
            row("three-vms", "lb-l2", 1),
            row("one-guest", "xdp-tx", 1),
        ];
        let svg = draw(&rows);
        assert_eq!(svg.matches("class=\"title\"").count(), 2);
        assert_eq!(svg.matches("class=\"one\"").count(), 3);
        assert_eq!(svg.matches("class=\"many\"").count(), 1);
        assert!(svg.contains(">10.0 k</text>") && !svg.contains("NaN"), "{svg}");
        assert_eq!(draw(&[]).matches("<text").count(), 0);
    }
}
