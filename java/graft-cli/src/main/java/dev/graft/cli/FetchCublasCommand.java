package dev.graft.cli;

import dev.graft.cli.console.Console;
import dev.graft.cli.console.Units;
import dev.graft.cli.download.CublasDownload;
import dev.graft.cuda.natives.CublasFinder;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code graft fetch-cublas}: cuBLAS for a machine with an NVIDIA driver and no CUDA toolkit. */
@Command(
        name = "fetch-cublas",
        customSynopsis = "graft fetch-cublas [OPTION]...",
        description = {
            "Fetches NVIDIA's cuBLAS 12.6 from Maven Central (390 MB), for machines with a driver and no CUDA toolkit.",
            "NVIDIA's licence for its redistributable libraries applies."
        },
        footer = "  graft fetch-cublas && graft devices")
final class FetchCublasCommand extends BaseCommand {
    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "Where to (default: where --engine cuda looks, a folder in ~/.cache/graft).")
    private Path out = CublasFinder.downloadFolder();

    FetchCublasCommand(Console console) {
        super(console);
    }

    @Override
    int run() {
        try {
            CublasDownload.run(
                    CublasDownload.JAR,
                    out,
                    (library, bytes, all) ->
                            console().live(library + " " + Units.bytes(bytes) + " of " + Units.bytes(all)));
        } finally {
            console().endLive();
        }
        console().result(out.toString());
        return EXIT_OK;
    }
}
