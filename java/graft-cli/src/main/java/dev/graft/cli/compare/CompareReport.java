package dev.graft.cli.compare;

import dev.graft.cli.console.Units;
import java.util.Base64;
import java.util.List;
import java.util.Map;

/** A comparison as one HTML file that needs nothing beside it: to hand to a colleague. */
final class CompareReport {
    private static final Map<String, String> CAPTIONS = Map.of(
            "quality-by-share.png",
            "Quality by how much is trained, on the most examples. Bars are one standard deviation over seeds.",
            "quality-by-shots.png",
            "Quality by how many examples there are to learn from.",
            "forgetting.png",
            "What training on the task costs of what the base knew: 1 is nothing.",
            "adaptation.png",
            "Loss on tasks that neither start has seen, by steps of adaptation; the plain start at its best learning rate.",
            "token-time.png",
            "Time of a generated token. The base is 1; where a method cannot be merged there is no second bar.");

    private static final String STYLE = """
            :root { color-scheme: light; --ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --good: #116329; --bad: #a40e26; }
            * { box-sizing: border-box; }
            body { margin: 0; background: #fff; color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
            main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
            h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem; }
            h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; }
            p.about, figcaption, footer { color: var(--soft); }
            .scroll { overflow-x: auto; }
            table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
            th, td { padding: .35rem .75rem; border-bottom: 1px solid var(--line); text-align: right; }
            th { font-weight: 600; vertical-align: bottom; }
            th:first-child, td:first-child { text-align: left; }
            ul.claims { list-style: none; padding: 0; margin: 0; }
            ul.claims li { display: grid; grid-template-columns: 9rem 1fr; gap: .75rem; padding: .5rem 0;
              border-bottom: 1px solid var(--line); }
            .holds { color: var(--good); font-weight: 600; }
            .fails { color: var(--bad); font-weight: 600; }
            .open { color: var(--soft); font-weight: 600; }
            figure { margin: 0 0 1.5rem; }
            img { max-width: 100%; height: auto; }
            code { font: .875em ui-monospace, monospace; overflow-wrap: anywhere; }
            """;

    private final CompareResult result;
    private final Map<String, byte[]> plots;

    CompareReport(CompareResult result, Map<String, byte[]> plots) {
        this.result = result;
        this.plots = plots;
    }

    /** The whole page. */
    String html() {
        StringBuilder html = new StringBuilder();
        html.append("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
                .append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>")
                .append(escape("LoRA beside its alternatives: " + result.task()))
                .append("</title>\n<style>\n")
                .append(STYLE)
                .append("</style>\n</head>\n<body>\n<main>\n<h1>LoRA beside its alternatives</h1>\n<p class=\"about\">")
                .append(escape("Task: " + result.task() + ". Each row is the mean over "
                        + Units.counted(result.seeds(), "run") + " of " + Units.counted(result.steps(), "step")
                        + ", ± one standard deviation. " + result.hardware() + ", " + result.date() + "."))
                .append("</p>\n<h2>What came out</h2>\n<ul class=\"claims\">\n");
        result.claims().forEach(claim -> appendClaim(html, claim));
        html.append("</ul>\n<h2>All figures</h2>\n");
        appendTable(html);
        html.append("<h2>Plots</h2>\n");
        plots.forEach((name, png) -> appendPlot(html, name, png));
        appendNotes(html);
        html.append("<footer><p>Made by <code>")
                .append(escape(result.command()))
                .append("</code> in ")
                .append(Units.duration(result.seconds()))
                .append(" minutes.</p></footer>\n</main>\n</body>\n</html>\n");
        return html.toString();
    }

    private static void appendClaim(StringBuilder html, Claim claim) {
        String style = switch (claim.verdict()) {
            case HOLDS -> "holds";
            case DOES_NOT_HOLD -> "fails";
            case NO_DIFFERENCE -> "open";
        };
        html.append("<li><span class=\"")
                .append(style)
                .append("\">")
                .append(claim.verdict().words())
                .append("</span><span>")
                .append(escape(claim.text()))
                .append("<br><small>")
                .append(escape(claim.figure()))
                .append("</small></span></li>\n");
    }

    private void appendTable(StringBuilder html) {
        List<String> heading = List.of(
                "method",
                "shots",
                "learning rate",
                "numbers trained",
                "share",
                "bytes a task",
                result.hasScores() ? "right, %" : "",
                "held-out loss",
                "forgetting",
                "step, ms",
                "memory",
                "token",
                "token, merged");
        html.append("<div class=\"scroll\"><table>\n<thead><tr>");
        heading.forEach(
                cell -> html.append("<th scope=\"col\">").append(escape(cell)).append("</th>"));
        html.append("</tr></thead>\n<tbody>\n");
        for (CompareRow row : result.rows()) {
            html.append("<tr><td>").append(escape(row.label())).append("</td>");
            result.cells(row)
                    .forEach(cell -> html.append("<td>").append(escape(cell)).append("</td>"));
            html.append("</tr>\n");
        }
        html.append("</tbody>\n</table></div>\n");
    }

    private void appendNotes(StringBuilder html) {
        html.append("<h2>How it was measured</h2>\n<ul>\n");
        note(
                html,
                "Every row was trained and measured in this run, on the same rows and held-out rows; each method at one "
                        + "learning rate, which stands in the table, for the same number of steps.");
        note(html, "Memory is the run's plan, weights included: what training allocates or maps.");
        note(html, "Forgetting is the perplexity on text of the base's own kind, divided by the base's.");
        note(
                html,
                "The time of a token is divided by the base's, the median of rounds in which all models took turns. "
                        + "Times, losses and perplexities that differ by less than 2 % count as no difference.");
        LearnedStart start = result.start();
        if (start != null) {
            note(
                    html,
                    "meta-lora starts from an adapter that was learned from " + start.tasks()
                            + " other tasks of the kind, in " + Units.fixed(start.seconds(), 0) + " seconds.");
        }
        html.append("</ul>\n");
    }

    private static void note(StringBuilder html, String text) {
        html.append("<li>").append(escape(text)).append("</li>\n");
    }

    private static void appendPlot(StringBuilder html, String name, byte[] png) {
        String caption = CAPTIONS.getOrDefault(name, name);
        html.append("<figure><img alt=\"")
                .append(escape(caption))
                .append("\" src=\"data:image/png;base64,")
                .append(Base64.getEncoder().encodeToString(png))
                .append("\"><figcaption>")
                .append(escape(caption))
                .append("</figcaption></figure>\n");
    }

    private static String escape(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }
}
