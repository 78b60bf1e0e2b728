package dev.graft.model;

import dev.graft.bottleneck.BottleneckAdapter;
import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.bottleneck.BottleneckFile;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraPass;
import dev.graft.nn.FlatParameters;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/** A frozen model with bottleneck modules inserted. Unlike LoRA they cannot be merged into its weights: between them is a GELU. */
public final class BottleneckModel implements Trainable {
    private final PretrainedModel base;
    private final BottleneckAdapter adapter;
    private final Decoder decoder;

    BottleneckModel(PretrainedModel base, BottleneckAdapter adapter) {
        this.base = base;
        this.adapter = adapter;
        this.decoder = base.decoder().with(adapter);
    }

    public PretrainedModel base() {
        return base;
    }

    public BottleneckAdapter adapter() {
        return adapter;
    }

    @Override
    public Engine engine() {
        return base.engine();
    }

    @Override
    public Precision precision() {
        return base.precision();
    }

    @Override
    public Decoder decoder() {
        return decoder;
    }

    @Override
    public FlatParameters parameters() {
        return adapter.parameters();
    }

    @Override
    public List<LoraAdapter> adapters() {
        return List.of();
    }

    @Override
    public BottleneckConfig bottlenecks() {
        return adapter.config();
    }

    @Override
    public LoraPass pass(DecoderBuffers buffers, int rows, boolean training, long seed, int microStep) {
        return LoraPass.none();
    }

    @Override
    public SortedMap<String, String> identity() {
        SortedMap<String, String> identity = new TreeMap<>();
        identity.put("method", "adapter");
        identity.put("base model's fingerprint", HexFormat.of().toHexDigits(base.fingerprint()));
        identity.put("precision", precision().toString());
        identity.put("bottleneck", String.valueOf(adapter.config().size()));
        identity.put("placement", adapter.config().placement().typed());
        return identity;
    }

    /** Writes {@code adapter_config.json} and {@code adapter.safetensors} as AdapterHub's {@code adapters} does. */
    @Override
    public void save(Path folder) {
        Architecture architecture = decoder.config().architecture();
        BottleneckFile.Base about = new BottleneckFile.Base(
                architecture.modelType(),
                architecture.className(),
                base.folder().toString(),
                base.fingerprint());
        BottleneckFile.write(folder, adapter, engine(), about);
    }
}
