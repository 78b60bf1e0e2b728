package dev.graft.cli.options;

import dev.graft.common.InputException;
import dev.graft.engine.Precision;
import dev.graft.lora.PeftAdapter;
import dev.graft.model.DecoderConfig;
import dev.graft.train.Method;
import dev.graft.train.TrainConfig;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What the flags of {@code train} and {@code plan} ask for.
 *
 * @param model folder of the base model
 * @param config its shape
 * @param method what is trained
 * @param start the saved adapter to start from; null for a new one
 * @param seqLen the most tokens of a row
 * @param evalData rows to evaluate on
 */
public record TrainRequest(
        Path model,
        DecoderConfig config,
        Method method,
        @Nullable PeftAdapter start,
        TrainConfig train,
        Precision precision,
        int seqLen,
        @Nullable Path evalData) {

    /** @throws InputException where another method was asked for than LoRA, the only one that {@code command} knows */
    public Method.Lora requireLora(String command) {
        if (method instanceof Method.Lora lora) {
            return lora;
        }
        throw new InputException("--method: " + command + " is about LoRA adapters; leave it out");
    }
}
