package dev.graft.cli.options;

import dev.graft.engine.Precision;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.PeftAdapter;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.DecoderConfig;
import dev.graft.train.TrainConfig;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the flags of {@code train} and {@code plan} ask for.
 *
 * @param model folder of the base model
 * @param config its shape
 * @param lora the adapter
 * @param start the saved adapter to start from; null for a new one
 * @param matches the layers that are adapted
 * @param seqLen the most tokens of a row
 * @param evalData rows to evaluate on
 */
public record TrainRequest(
        Path model,
        DecoderConfig config,
        LoraConfig lora,
        @Nullable PeftAdapter start,
        List<TargetMatcher.Match> matches,
        TrainConfig train,
        Precision precision,
        int seqLen,
        @Nullable Path evalData) {}
