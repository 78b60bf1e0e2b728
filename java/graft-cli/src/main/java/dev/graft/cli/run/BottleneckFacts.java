package dev.graft.cli.run;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.bottleneck.BottleneckFile;
import dev.graft.cli.console.Table;
import dev.graft.cli.console.Units;
import dev.graft.io.Json;
import dev.graft.model.ConfigReader;
import dev.graft.model.DecoderConfig;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What {@code inspect} tells of a folder with bottleneck modules.
 *
 * @param bytes of the weights file
 * @param base the base model's shape; null where it is not at hand
 */
public record BottleneckFacts(
        BottleneckFile file, long bytes, @Nullable DecoderConfig base) {

    /** Reads modules, and their base's configuration from {@code model} or, where that is null, from where the file says. */
    public static BottleneckFacts read(Path folder, @Nullable Path model) {
        BottleneckFile file = BottleneckFile.read(folder);
        Path found = model == null ? AdapterFacts.findBase(file.base().model(), folder) : model;
        DecoderConfig base = found == null ? null : ConfigReader.read(found);
        if (base != null) {
            file.requireFits(base.hiddenSize(), base.layers());
        }
        return new BottleneckFacts(file, FileSize.of(folder.resolve(BottleneckFile.WEIGHTS_FILE)), base);
    }

    private long trainable() {
        return file.weights().values().stream()
                .mapToLong(values -> values.length)
                .sum();
    }

    /** Four tensors make a module. */
    private int modules() {
        return file.weights().size() / 4;
    }

    private @Nullable Double share() {
        return base == null ? null : (double) trainable() / (PlanReport.parameters(base) + trainable());
    }

    private String place() {
        return file.config().placement() == BottleneckConfig.Placement.HOULSBY
                ? "after attention and after the MLP (Houlsby)"
                : "after the MLP (Pfeiffer)";
    }

    /** As text. */
    public List<String> lines() {
        String share = base == null
                ? " (give --model for their share)"
                : ", " + Units.share(trainable(), PlanReport.parameters(base) + trainable()) + " of all";
        return Table.ofTexts()
                .row("adapter", "bottleneck modules, " + place())
                .row("bottleneck", Integer.toString(file.config().size()))
                .row("modules", Integer.toString(modules()))
                .row("parameters", Units.count(trainable()) + share)
                .row("size", Units.bytes(bytes))
                .row("base model", Objects.requireNonNullElse(file.base().model(), "not named"))
                .row("base fingerprint", Objects.requireNonNullElse(file.base().hexFingerprint(), "none"))
                .lines();
    }

    /** As JSON. */
    public ObjectNode json() {
        return Json.mapper()
                .createObjectNode()
                .put("kind", "bottleneck")
                .put("bottleneck", file.config().size())
                .put("placement", file.config().placement().typed())
                .put("modules", modules())
                .put("trainable_parameters", trainable())
                .put("trainable_share", share())
                .put("bytes", bytes)
                .put("base_model", file.base().model())
                .put("base_fingerprint", file.base().hexFingerprint());
    }
}
