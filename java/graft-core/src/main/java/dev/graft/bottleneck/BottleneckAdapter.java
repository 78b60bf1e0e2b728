package dev.graft.bottleneck;

import dev.graft.common.RandomFill;
import dev.graft.common.RandomPurpose;
import dev.graft.engine.Allocator;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.nn.FlatParameters;
import dev.graft.nn.Linear;
import dev.graft.nn.Weight;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The modules of a model, all views into one flat buffer. */
public final class BottleneckAdapter {
    /** Of D at the start: {@code init_weights="bert"} of {@code adapters}. */
    private static final float INITIAL_STD = 0.02f;

    private static final String AFTER_ATTENTION = "attention_adapters";
    private static final String AFTER_MLP = "output_adapters";

    /** Where a module's numbers lie. */
    private record Place(
            FlatParameters.Slot downWeight,
            FlatParameters.Slot downBias,
            FlatParameters.Slot upWeight,
            FlatParameters.Slot upBias) {

        static Place in(FlatParameters.Layout layout, String module, int hiddenSize, int size) {
            return new Place(
                    layout.add(module + ".adapter_down.0.weight", size, hiddenSize),
                    layout.add(module + ".adapter_down.0.bias", 1, size),
                    layout.add(module + ".adapter_up.weight", hiddenSize, size),
                    layout.add(module + ".adapter_up.bias", 1, hiddenSize));
        }
    }

    private final BottleneckConfig config;
    private final int hiddenSize;
    private final List<Place> places;
    private final FlatParameters parameters;

    private BottleneckAdapter(BottleneckConfig config, int hiddenSize, List<Place> places, FlatParameters parameters) {
        this.config = config;
        this.hiddenSize = hiddenSize;
        this.places = List.copyOf(places);
        this.parameters = parameters;
    }

    /**
     * Modules whose numbers are still zero; {@link #initialise} or {@link #setWeights} gives them their start.
     *
     * @param hiddenSize d of the model
     * @param layers of the model
     * @param training whether gradient buffers are needed
     */
    public static BottleneckAdapter create(
            BottleneckConfig config,
            int hiddenSize,
            int layers,
            Allocator allocator,
            Precision precision,
            boolean training) {
        FlatParameters.Layout layout = new FlatParameters.Layout();
        List<Place> places = places(config, hiddenSize, layers, layout);
        return new BottleneckAdapter(
                config, hiddenSize, places, new FlatParameters(layout, allocator, precision, training));
    }

    /** The parameters of such modules: their names and shapes. */
    static List<FlatParameters.Slot> slots(BottleneckConfig config, int hiddenSize, int layers) {
        return places(config, hiddenSize, layers, new FlatParameters.Layout()).stream()
                .flatMap(place -> Stream.of(place.downWeight(), place.downBias(), place.upWeight(), place.upBias()))
                .toList();
    }

    private static List<Place> places(
            BottleneckConfig config, int hiddenSize, int layers, FlatParameters.Layout layout) {
        List<Place> places = new ArrayList<>();
        for (int layer = 0; layer < layers; layer++) {
            String prefix = "model.layers." + layer + ".";
            if (config.placement() == BottleneckConfig.Placement.HOULSBY) {
                places.add(Place.in(layout, prefix + AFTER_ATTENTION, hiddenSize, config.size()));
            }
            places.add(Place.in(layout, prefix + AFTER_MLP, hiddenSize, config.size()));
        }
        return places;
    }

    public BottleneckConfig config() {
        return config;
    }

    /** d of the model. */
    public int hiddenSize() {
        return hiddenSize;
    }

    /** All numbers, flat. */
    public FlatParameters parameters() {
        return parameters;
    }

    /** The module after attention of a layer; null where there is none. */
    public @Nullable Bottleneck afterAttention(int layer) {
        return config.placement() == BottleneckConfig.Placement.HOULSBY ? module(places.get(2 * layer)) : null;
    }

    /** The module after the MLP of a layer. */
    public Bottleneck afterMlp(int layer) {
        return module(places.get((layer + 1) * config.modulesPerLayer() - 1));
    }

    private Bottleneck module(Place place) {
        return new Bottleneck(linear(place.downWeight(), place.downBias()), linear(place.upWeight(), place.upBias()));
    }

    private Linear linear(FlatParameters.Slot weight, FlatParameters.Slot bias) {
        String name = weight.name().substring(0, weight.name().length() - ".weight".length());
        return new Linear(name, weight(weight), weight(bias));
    }

    private Weight weight(FlatParameters.Slot slot) {
        return new Weight(
                slot.name(), parameters.compute(slot), parameters.hasGradients() ? parameters.gradient(slot) : null);
    }

    /** D ~ N(0, 0.02²); U and the biases zero, so that training starts exactly at the pre-trained model. */
    public void initialise(Engine engine, long seed) {
        engine.zero(parameters.values());
        for (int i = 0; i < places.size(); i++) {
            FlatParameters.Slot down = places.get(i).downWeight();
            float[] values = RandomFill.normal(seed, RandomPurpose.INITIALISE_BOTTLENECK, i, down.size(), INITIAL_STD);
            engine.upload(values, parameters.value(down));
        }
        parameters.refresh(engine);
    }

    /** Sets all numbers; {@code weights} has the values of each slot by its name. */
    public void setWeights(Engine engine, Map<String, float[]> weights) {
        parameters.set(engine, weights);
    }
}
