package dev.graft.cli.compare;

import dev.graft.common.InputException;
import dev.graft.io.AtomicFiles;
import dev.graft.io.Json;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** What a comparison leaves in its folder. */
public record CompareFiles(Path folder) {
    private static final String JSON = "compare.json";

    /** @throws InputException where an earlier comparison would be overwritten unasked */
    public void requireFree(boolean force) {
        if (Files.exists(folder) && !Files.isDirectory(folder)) {
            throw new InputException("--out " + folder + " is a file; name a folder");
        }
        for (Path own : List.of(folder.resolve(JSON), report(), scratch())) {
            if (!force && Files.exists(own)) {
                throw new InputException("--out " + folder + " already holds a comparison (" + own.getFileName()
                        + "); give --force to overwrite it, or choose another folder");
            }
        }
    }

    /** Makes the folder, without what an earlier comparison left of its models. */
    public void prepare() {
        AtomicFiles.createDirectories(folder);
        AtomicFiles.deleteTree(scratch());
    }

    /** Where adapters and models lie while they are measured, and stay to be looked at. */
    public Path scratch() {
        return folder.resolve("models");
    }

    public Path report() {
        return folder.resolve("report.html");
    }

    /** Writes figures, plots and report. */
    public void write(CompareResult result) {
        Map<String, byte[]> plots = new ComparePlots(result).all();
        plots.forEach((name, png) -> AtomicFiles.writeBytes(folder.resolve(name), png));
        AtomicFiles.writeString(
                folder.resolve(JSON), Json.pretty(Json.mapper().convertValue(result.json(), Map.class)) + "\n");
        AtomicFiles.writeString(folder.resolve("compare.csv"), result.csv());
        AtomicFiles.writeString(report(), new CompareReport(result, plots).html());
    }
}
