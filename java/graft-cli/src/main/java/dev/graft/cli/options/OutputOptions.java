package dev.graft.cli.options;

import picocli.CommandLine.Option;

/** How results are printed. */
public final class OutputOptions {
    @Option(names = "--json", description = "Print the result as one JSON object.")
    private boolean json;

    public boolean isJson() {
        return json;
    }
}
