package dev.graft.benchmarks.results;

import java.util.List;

/** What one of the scripts writes, and how it reads best. */
interface ResultKind {
    /** Whether {@code file} is of this kind. */
    boolean reads(ResultFile file);

    /** Tables of all files of this kind together. */
    List<Section> sections(List<ResultFile> files);

    /** Plots of them; may be none. */
    List<Plot> plots(List<ResultFile> files);
}
