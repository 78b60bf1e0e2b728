package dev.graft.model;

import dev.graft.common.InputException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/**
 * The decoder families that Graft computes, by Hugging Face's names, with the defaults that transformers assumes where
 * {@code config.json} leaves a field out.
 */
public enum Architecture {
    LLAMA("LlamaForCausalLM", "llama", new Defaults(32000, 11008, 0, 2048, List.of(2))),
    MISTRAL("MistralForCausalLM", "mistral", new Defaults(32000, 14336, 8, 131072, List.of(2))),
    QWEN2("Qwen2ForCausalLM", "qwen2", new Defaults(151936, 22016, 32, 32768, List.of())),
    QWEN3("Qwen3ForCausalLM", "qwen3", new Defaults(151936, 22016, 32, 32768, List.of()));

    /**
     * What transformers assumes where {@code config.json} leaves a field out, as far as the families differ.
     *
     * @param keyValueHeads 0 for as many as query heads
     */
    record Defaults(
            int vocabSize, int intermediateSize, int keyValueHeads, int maxPositions, List<Integer> endTokens) {}

    private final String className;
    private final String modelType;
    private final Defaults defaults;

    Architecture(String className, String modelType, Defaults defaults) {
        this.className = className;
        this.modelType = modelType;
        this.defaults = defaults;
    }

    Defaults defaults() {
        return defaults;
    }

    /** As in {@code architectures} of config.json. */
    public String className() {
        return className;
    }

    /** As in {@code model_type} of config.json. */
    public String modelType() {
        return modelType;
    }

    /** @throws InputException for any other architecture, naming those there are */
    static Architecture of(String className, String where) {
        return Arrays.stream(values())
                .filter(candidate -> candidate.className.equals(className))
                .findFirst()
                .orElseThrow(() -> new InputException(where + ": architecture " + className
                        + " is not supported; Graft trains "
                        + Arrays.stream(values()).map(Architecture::className).collect(Collectors.joining(", "))));
    }
}
