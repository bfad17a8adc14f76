// The first part of shaders that use subgroups, as `enable` comes before everything else.

enable subgroups;
