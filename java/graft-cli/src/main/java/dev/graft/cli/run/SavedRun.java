package dev.graft.cli.run;

import dev.graft.bottleneck.BottleneckFile;
import dev.graft.common.InputException;
import dev.graft.io.Checkpoint;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.PeftAdapter;
import dev.graft.model.LoraModel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The run that left a checkpoint, as far as its adapter tells; the trainer itself compares data and training flags. */
public record SavedRun(Path checkpoint) {
    /**
     * Checks that {@code model} is what the checkpoint was trained on.
     *
     * @param force whether another base is let through
     * @throws InputException naming the flag that differs
     */
    public void requireSame(LoraModel model, boolean force) {
        requireLora();
        PeftAdapter saved = PeftAdapter.read(checkpoint);
        OpenModel.requireBase(checkpoint, saved.base(), model.base(), force);
        requireEqual(
                "--init", start(saved.convertedFrom()), start(model.adapter().convertedFrom()));
        requireEqual(
                "--dora", saved.config().useDora(), model.adapter().config().useDora());
        if (saved.convertedFrom() == null) {
            // what was converted has other numbers than its run's flags had; the trainer compares those
            requireSame(saved.config(), model.adapter().config());
        }
        requireEqual(
                "number of adapted layers",
                saved.adaptedLayers().size(),
                model.adapter().modules().size());
        List<String> adapted =
                model.adapter().modules().stream().map(module -> module.name()).toList();
        for (String name : adapted) {
            if (!saved.adaptedLayers().contains(name)) {
                throw new InputException(checkpoint + ": the run to resume did not adapt " + name
                        + "; resume with the same --targets and --exclude");
            }
        }
    }

    /** Before anything is read: the files of other methods are no adapter. */
    private void requireLora() {
        String method = method();
        if (!method.equals("lora")) {
            throw new InputException(checkpoint + ": the run to resume was a run with --method " + method
                    + ", this is one with lora; resume with the same flags, or train anew with --force");
        }
    }

    private String method() {
        if (Files.exists(checkpoint.resolve(Checkpoint.SINGLE_FILE))) {
            return "full";
        }
        return BottleneckFile.isAt(checkpoint) ? "adapter" : "lora";
    }

    private void requireSame(LoraConfig before, LoraConfig wanted) {
        requireEqual("--rank", before.rank(), wanted.rank());
        requireEqual("--alpha", before.alpha(), wanted.alpha());
        requireEqual("--dropout", before.dropout(), wanted.dropout());
        requireEqual("--rslora", before.rsLora(), wanted.rsLora());
        requireEqual("--rank-pattern", before.rankPattern(), wanted.rankPattern());
        requireEqual("--alpha-pattern", before.alphaPattern(), wanted.alphaPattern());
        requireEqual(
                "--modules-to-save",
                before.modulesToSave().names(),
                wanted.modulesToSave().names());
        requireEqual(
                "--ensure-weight-tying",
                before.modulesToSave().keepTies(),
                wanted.modulesToSave().keepTies());
    }

    /** What the start took over from the base; saved adapters do not tell other starts apart. */
    private static String start(@Nullable String convertedFrom) {
        return convertedFrom == null ? "gaussian or kaiming" : convertedFrom;
    }

    private void requireEqual(String flag, Object before, Object wanted) {
        if (!before.equals(wanted)) {
            throw new InputException(checkpoint + ": the run to resume had " + flag + " " + before + ", now it is "
                    + wanted + "; resume with the same flags, or train anew with --force");
        }
    }
}
