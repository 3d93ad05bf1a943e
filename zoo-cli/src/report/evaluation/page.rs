//! A page in HTML that is whole in one file: no scripts, nothing fetched, as readable on a phone as in print.

use std::fmt::Write;

use crate::plot::{data_uri, escape};

/// The look of the page. Wide content scrolls in its own frame, so that the page itself never does.
const STYLE: &str = "\
:root{color-scheme:light}\
body{margin:0 auto;max-width:70rem;padding:1rem;background:#fff;color:#222;\
font:1rem/1.5 system-ui,'Segoe UI',Helvetica,Arial,sans-serif}\
h1{font-size:1.5rem;line-height:1.25;margin:.2rem 0 .6rem;overflow-wrap:anywhere}\
h2{font-size:1.15rem;margin:2rem 0 .6rem;border-bottom:1px solid #ddd}\
p{margin:.5rem 0;max-width:46rem;overflow-wrap:anywhere}\
.warning{border-left:4px solid #d55e00;padding-left:.7rem}\
.note,footer{color:#555;font-size:.9rem}\
dl.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:.6rem;margin:1rem 0}\
dl.figures div{border:1px solid #ddd;border-radius:.4rem;padding:.4rem .7rem}\
dl.figures dt{color:#555;font-size:.85rem}\
dl.figures dd{margin:0;font-size:1.35rem;font-variant-numeric:tabular-nums}\
.row{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start}\
.row>*{min-width:0;max-width:100%}\
.wide{overflow-x:auto;max-width:100%}\
img.drawing{display:block;max-width:none}\
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}\
caption{text-align:left;color:#555;padding-bottom:.2rem}\
th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #e4e4e4;white-space:nowrap}\
th:first-child,td:first-child{text-align:left;padding-left:0}\
td.words{text-align:left}\
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(10.5rem,1fr));gap:1rem}\
figure{margin:0}\
figure div{display:flex;gap:4px}\
figure img{width:80px;height:80px;object-fit:contain;image-rendering:pixelated;background:#f4f4f4}\
figcaption{font-size:.85rem;line-height:1.35;overflow-wrap:anywhere}\
footer{margin-top:2rem;border-top:1px solid #ddd}\
@media(max-width:30rem){body{padding:.8rem}th,td{padding:.2rem .35rem}table{font-size:.8rem}\
dl.figures{grid-template-columns:1fr 1fr}}\
@media print{@page{margin:14mm}body{max-width:none;padding:0;font-size:10pt}.wide{overflow:visible}\
h2{break-after:avoid}tr,figure,img,dl.figures div{break-inside:avoid}img.drawing{max-width:100%;height:auto}\
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";

/// A page that grows from the top. Every text is escaped here.
#[derive(Debug)]
pub(super) struct Page {
    title: String,
    body: String,
}

impl Page {
    pub(super) fn new(title: &str) -> Self {
        let title = escape(title);
        Self {
            body: format!("<h1>{title}</h1>\n"),
            title,
        }
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.body.write_fmt(text);
        self.body.push('\n');
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.push(format_args!("<h2>{}</h2>", escape(text)));
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        self.push(format_args!("<p>{}</p>", escape(text)));
    }

    /// What the reader should not miss.
    pub(super) fn warning(&mut self, text: &str) {
        self.push(format_args!("<p class=\"warning\">{}</p>", escape(text)));
    }

    /// How something is to be read.
    pub(super) fn note(&mut self, text: &str) {
        self.push(format_args!("<p class=\"note\">{}</p>", escape(text)));
    }

    /// The figures that matter most, by name.
    pub(super) fn figures(&mut self, figures: &[(String, String)]) {
        let each = figures.iter().map(|(name, value)| {
            let (name, value) = (escape(name), escape(value));
            format!("<div><dt>{name}</dt><dd>{value}</dd></div>")
        });
        let each: String = each.collect();
        self.push(format_args!("<dl class=\"figures\">{each}</dl>"));
    }

    /// What stands side by side where there is room.
    pub(super) fn side_by_side(&mut self, inside: impl FnOnce(&mut Self)) {
        self.body.push_str("<div class=\"row\">\n");
        inside(self);
        self.body.push_str("</div>\n");
    }

    /// A drawing with its words for those who do not see it.
    pub(super) fn drawing(&mut self, svg: &str, words: &str) {
        // As an image of its own: the names inside of one drawing are not seen by the others.
        self.push(format_args!(
            "<div class=\"wide\"><img class=\"drawing\" alt=\"{}\" src=\"{}\"></div>",
            escape(words),
            data_uri("image/svg+xml", svg.as_bytes())
        ));
    }

    /// A table; the columns with the indices `words` hold text, the others numbers.
    pub(super) fn table(
        &mut self,
        caption: &str,
        header: &[&str],
        words: &[usize],
        rows: impl IntoIterator<Item = Vec<String>>,
    ) {
        let mut text = String::from("<div class=\"wide\"><table>");
        if !caption.is_empty() {
            text += &format!("<caption>{}</caption>", escape(caption));
        }
        text += "<thead><tr>";
        for title in header {
            text += &format!("<th scope=\"col\">{}</th>", escape(title));
        }
        text += "</tr></thead><tbody>";
        for row in rows {
            text += "<tr>";
            for (column, cell) in row.iter().enumerate() {
                let class = match words.contains(&column) {
                    true => " class=\"words\"",
                    false => "",
                };
                text += &format!("<td{class}>{}</td>", escape(cell));
            }
            text += "</tr>";
        }
        self.push(format_args!("{text}</tbody></table></div>"));
    }

    /// Small pictures, as the addresses of images with their words, in groups with lines of text below.
    pub(super) fn gallery(
        &mut self,
        groups: impl IntoIterator<Item = (Vec<(String, &'static str)>, Vec<String>)>,
    ) {
        let mut text = String::from("<div class=\"gallery\">");
        for (pictures, lines) in groups {
            text += "<figure><div>";
            for (uri, words) in pictures {
                text += &format!("<img alt=\"{}\" src=\"{uri}\">", escape(words));
            }
            let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
            text += &format!(
                "</div><figcaption>{}</figcaption></figure>",
                lines.join("<br>")
            );
        }
        self.push(format_args!("{text}</div>"));
    }

    /// The whole page, with `foot` below everything.
    pub(super) fn finish(self, foot: &str) -> String {
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{}<footer><p>{}</p></footer>\n</body>\n</html>\n",
            self.title,
            self.body,
            escape(foot)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_break_the_page() {
        const BAD: &str = "<script>\"&'";
        let mut page = Page::new(BAD);
        page.heading(BAD);
        page.paragraph(BAD);
        page.warning(BAD);
        page.note(BAD);
        page.figures(&[(BAD.into(), BAD.into())]);
        page.drawing("<svg/>", BAD);
        page.table(BAD, &[BAD], &[0], [vec![BAD.to_string()]]);
        page.gallery([(vec![("data:,".to_string(), BAD)], vec![BAD.to_string()])]);
        let text = page.finish(BAD);
        assert!(
            !text.contains("<script") && !text.contains("\"&'"),
            "{text}"
        );
        // The title stands in the head as well.
        assert_eq!(text.matches("&lt;script&gt;").count(), 15);
    }
}
